"""One delivery of a bill while it is landed: its parts, what they claim, and what was judged of each slice."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime

import pyarrow as pa

from ingest import lake, slices
from ingest.bill_losses import Loss
from ingest.billing.claims import BillKind
from ingest.deliveries import Delivery
from ingest.landing_run import LandingRun
from ingest.quarantine import QuarantineSpool
from ingest.reading import Reading, ReadObject
from ingest.registry import RegistryRow


@dataclass(frozen=True)
class SliceClaim:
    """One object's rows of one slice."""

    values: tuple[str | None, ...]
    partition_date: date
    row_count: int
    data_through_at: datetime | None


@dataclass
class Part:
    """One object of a delivery that was read, with its rows on disk."""

    reading: Reading
    claims: dict[str, SliceClaim]
    had: list[RegistryRow]

    @property
    def item(self) -> ReadObject:
        return self.reading.items[0]

    @property
    def uri(self) -> str:
        return self.item.stored.uri

    @property
    def is_bad(self) -> bool:
        return self.item.refusal is not None or self.item.rows_refused > 0


@dataclass
class Attempt:
    """One delivery, its parts read; the maps are by slice key."""

    delivery: Delivery
    parts: list[Part]
    touched: set[str]
    quarantine: QuarantineSpool
    refused: dict[str, str] = field(default_factory=dict)  # why
    held: dict[str, Loss] = field(default_factory=dict)  # of the refused, what a person may accept
    superseded: dict[str, str] = field(default_factory=dict)  # by what
    landed: dict[str, str] = field(default_factory=dict)  # version
    accepted: dict[str, Loss] = field(default_factory=dict)  # of the landed, what goes since a person accepted it
    drafts: dict[str, dict[str, str]] = field(default_factory=dict)  # object -> why its rows do not count

    def list_parts(self, key: str) -> list[Part]:
        """The parts whose rows of a slice count."""
        return [part for part in self.parts if key in part.claims and part.uri not in self.drafts.get(key, {})]


def select_slice(run: LandingRun, source_name: str, kind: BillKind, key: str, parts: Sequence[Part]) -> str:
    """A select of the slice's rows, stamped with the delivery that they make up together."""
    values = parts[0].claims[key].values
    delivery_id = lake.hash_text(source_name, key, *sorted(f"{part.uri}\n{part.item.stored.etag}" for part in parts))
    claims = name_claims(key)
    claim = pa.table(
        {name: pa.array([value], pa.string()) for name, value in zip(kind.claim_columns, values, strict=True)}
    )
    run.engine.register(claims, claim)
    paths = [path for part in parts for path in part.reading.paths]
    partition = kind.table.partition
    matches = " and ".join(f"c.{name} is not distinct from s.{name}" for name in kind.claim_columns)
    return (
        f"select s.* replace ('{delivery_id}' as _delivery_id) "
        f"from ({slices.scan_spool_sql(kind.table, paths)}) as s semi join {claims} as c on {matches} "
        f"where s.{partition} = date '{parts[0].claims[key].partition_date}'"
    )


def name_claims(key: str) -> str:
    """What the engine calls the values of a slice's claim."""
    return f"claim_{lake.hash_text(key)}"
