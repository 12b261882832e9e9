"""The planted truths: what a correct pipeline must find in the files."""

from dataclasses import dataclass, field
from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Final

_LANDED_QUANTUM: Final = Decimal(1).scaleb(-18)


@dataclass
class SourceTruth:
    """Rows of one source. `rows` counts every record of every file, malformed and superseded ones too."""

    rows: int = 0
    malformed_rows: int = 0
    superseded_rows: int = 0
    files: list[Path] = field(default_factory=list)

    def add(self, path: Path, rows: int, malformed: int = 0, superseded: int = 0) -> None:
        """Count a file."""
        self.rows += rows
        self.malformed_rows += malformed
        self.superseded_rows += superseded
        self.files.append(path)


@dataclass
class ProviderTotals:
    """Sums over the deliveries that stand, in the bill's own currency, each amount rounded half away from zero at 18
    decimal places."""

    currency_code: str
    billed: Decimal = Decimal(0)
    effective: Decimal = Decimal(0)

    def add(self, billed: Decimal, effective: Decimal) -> None:
        """Count a line."""
        self.billed += land_amount(billed)
        self.effective += land_amount(effective)


def land_amount(amount: Decimal) -> Decimal:
    """An amount as decimal(38,18) holds it."""
    exponent = amount.as_tuple().exponent
    if isinstance(exponent, int) and exponent < -18:
        return amount.quantize(_LANDED_QUANTUM, rounding=ROUND_HALF_UP)
    return amount


@dataclass(frozen=True)
class CompanySummary:
    """What was written. Keys of `sources` are the names in sources.yml; keys of `providers` are ProviderName."""

    home: Path
    start: date
    days: int
    renamed_on: date
    sources: dict[str, SourceTruth]
    providers: dict[str, ProviderTotals]
    gpu_count: int
    mig_instance_count: int
    counter_reset_count: int
    held_idle_gpu_hours: int
    unallocated_gpu_hours: int
    worked_gpu_hours: int
    unseen_gpu_hours: int
    nan_sample_count: int
    request_count: int
    duplicate_request_count: int
    failed_request_count: int
    unpriced_request_count: int
    missing_usage_request_count: int
    bytes_written: int
