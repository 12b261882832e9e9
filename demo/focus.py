"""FOCUS 1.2 billing lines as CSV: a line is a template made once per resource, filled per hour with its amounts."""

import csv
import io
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Final

from demo.plan import Month, instant_text, open_output
from demo.summary import ProviderTotals, SourceTruth

COLUMNS: Final = (
    "AvailabilityZone BilledCost BillingAccountId BillingAccountName BillingAccountType BillingCurrency "
    "BillingPeriodEnd BillingPeriodStart CapacityReservationId CapacityReservationStatus ChargeCategory ChargeClass "
    "ChargeDescription ChargeFrequency ChargePeriodEnd ChargePeriodStart CommitmentDiscountCategory "
    "CommitmentDiscountId CommitmentDiscountName CommitmentDiscountQuantity CommitmentDiscountStatus "
    "CommitmentDiscountType CommitmentDiscountUnit ConsumedQuantity ConsumedUnit ContractedCost ContractedUnitPrice "
    "EffectiveCost InvoiceId InvoiceIssuerName ListCost ListUnitPrice PricingCategory PricingCurrency "
    "PricingCurrencyContractedUnitPrice PricingCurrencyEffectiveCost PricingCurrencyListUnitPrice PricingQuantity "
    "PricingUnit ProviderName PublisherName RegionId RegionName ResourceId ResourceName ResourceType ServiceCategory "
    "ServiceName ServiceSubcategory SkuId SkuMeter SkuPriceDetails SkuPriceId SubAccountId SubAccountName "
    "SubAccountType Tags"
).split()
"""The 57 columns of FOCUS 1.2."""

_SLOTS: Final = {
    "ChargePeriodStart": "\x00(start)s",
    "ChargePeriodEnd": "\x00(end)s",
    "BilledCost": "\x00(billed)s",
    "EffectiveCost": "\x00(effective)s",
    "ListCost": "\x00(list)s",
    "ContractedCost": "\x00(contracted)s",
}


class Line:
    """What all lines of one resource and meter share. A value of None is an empty cell, an object is JSON text.

    `list_price` and `contracted_price` are per pricing unit; lines without a quantity have neither.
    """

    def __init__(
        self,
        columns: Mapping[str, object],
        *,
        list_price: Decimal | None = None,
        contracted_price: Decimal | None = None,
        is_measured: bool = True,
        is_unused: bool = False,
    ) -> None:
        unknown = set(columns) - set(COLUMNS)
        if unknown:
            raise ValueError(f"not FOCUS 1.2 columns: {sorted(unknown)}")
        self.list_price = list_price
        self.contracted_price = list_price if contracted_price is None else contracted_price
        cells: dict[str, object] = {**columns, **_SLOTS}
        if list_price is not None:
            cells |= {"ListUnitPrice": _number(list_price), "ContractedUnitPrice": _number(self.contracted_price)}
            cells["PricingQuantity"] = "\x00(quantity)s"
            if is_measured and not is_unused:
                cells["ConsumedQuantity"] = "\x00(quantity)s"
        if "CommitmentDiscountId" in columns:
            cells["CommitmentDiscountQuantity"] = "\x00(commitment)s"
        row = [_cell(cells.get(column)).replace("%", "%%").replace("\x00", "%") for column in COLUMNS]
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerow(row)
        self.template = text.getvalue()


class LineFile:
    """A CSV being written; adds what it writes to the provider's totals when given them."""

    def __init__(self, out: io.BufferedIOBase, totals: ProviderTotals | None) -> None:
        self._out = out
        self._totals = totals
        self.rows = 0

    def write(
        self,
        line: Line,
        start: datetime,
        end: datetime,
        *,
        quantity: Decimal | None = None,
        billed: Decimal | None = None,
        effective: Decimal | None = None,
        listed: Decimal | None = None,
        commitment: Decimal | None = None,
    ) -> None:
        """Write a line. Amounts that are not given are quantity x contracted price (list: x list price)."""
        if quantity is not None and line.list_price is not None and line.contracted_price is not None:
            contracted = quantity * line.contracted_price
            listed = quantity * line.list_price if listed is None else listed
        elif billed is not None:
            contracted = billed
        else:
            raise ValueError("a line needs a quantity and prices, or a billed amount")
        billed = contracted if billed is None else billed
        effective = billed if effective is None else effective
        listed = contracted if listed is None else listed
        text = line.template % {
            "start": instant_text(start),
            "end": instant_text(end),
            "billed": billed,
            "effective": effective,
            "list": listed,
            "contracted": contracted,
            "quantity": _number(quantity),
            "commitment": _number(commitment),
        }
        self._out.write(text.encode())
        self.rows += 1
        if self._totals is not None:
            self._totals.add(billed, effective)


@contextmanager
def open_lines(
    path: Path, delivered_at: datetime, source: SourceTruth, totals: ProviderTotals | None
) -> Iterator[LineFile]:
    """A FOCUS 1.2 CSV. Without `totals` the file will be superseded by a later delivery."""
    with open_output(path, delivered_at) as out:
        out.write((",".join(COLUMNS) + "\n").encode())
        lines = LineFile(out, totals)
        yield lines
    source.add(path, rows=lines.rows, superseded=lines.rows if totals is None else 0)


def month_columns(month: Month) -> dict[str, object]:
    """The billing period's cells."""
    return {"BillingPeriodStart": instant_text(month.start), "BillingPeriodEnd": instant_text(month.end)}


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, dict):
        return json.dumps(value, separators=(",", ":")) if value else ""
    return str(value)


def _number(value: Decimal | None) -> str:
    return "" if value is None else str(value)
