"""Read Oracle Cloud's cost reports: CSV, gzipped or not, and Parquet of the same columns.

Source: the objects of `reports/cost-csv/` in the bucket that Oracle keeps for a tenancy, copied. Each has rows of some
hours, of two months at the turn of one; together they are the bill, and a correction is a row more. There is a column
for each tag. Reports of usage have no cost and are none of these; FOCUS reports are of kind focus. Landing table:
oci_cost_rows.
"""

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Final

from ingest.billing.bill_format import BillFormat
from ingest.billing.bill_options import check_bill_options
from ingest.billing.tabular import read_bill
from ingest.contracts import OCI_COST_ROWS, LandingTable
from ingest.source import OptionProblem, RowSink, ServerKind, SourceObject

_TAG: Final = "tags/"


def _read_tag(header: str) -> str | None:
    return header[len(_TAG) :] if header.startswith(_TAG) else None


OCI_COST: Final = BillFormat(
    name="Oracle Cloud cost report",
    table=OCI_COST_ROWS,
    required=(
        "line_item_tenant_id",
        "line_item_interval_usage_start",
        "line_item_interval_usage_end",
        "cost_my_cost",
        "cost_currency_code",
    ),
    period_column="line_item_interval_usage_start",
    period_sql="cast(date_trunc('month', line_item_interval_usage_start) as date)",
    claim_columns=("line_item_tenant_id",),
    spell=lambda name: _spell(name),
    expected={"product_resource_id": None, "line_item_is_correction": None},
    rules=(
        (
            "line_item_interval_usage_end",
            "line_item_interval_usage_end < line_item_interval_usage_start",
            "ends before it starts: periods are [start, end)",
        ),
        (
            "cost_currency_code",
            "not regexp_matches(cost_currency_code, '^[A-Z]{3}$')",
            "not a currency code: expected three capital letters (ISO 4217), such as USD",
        ),
    ),
    repairs=(
        ("correction", "line_item_is_correction = 'true'"),
        ("overage_in_cost", "coalesce(cost_my_cost_overage, 0) != 0"),
    ),
    lenient_amounts=frozenset(
        {"usage_billed_quantity", "usage_billed_quantity_overage", "cost_unit_price", "cost_unit_price_overage"}
    ),
    keyed={"tags": _read_tag},
    rewritten={"line_item_is_correction": "lower(trim($))"},
)


def _spell(name: str) -> str:
    """`cost/myCost` of `cost_my_cost`."""
    group = "lineItem" if name.startswith("line_item") else name.partition("_")[0]
    first, *others = name.removeprefix("line_item_" if group == "lineItem" else f"{group}_").split("_")
    return f"{group}/{first}{''.join(word.capitalize() for word in others)}"


class OciCost:
    """One row per row of the report: an hour of a resource and a product."""

    kind: ClassVar[str] = "oci_cost"
    reader_version: ClassVar[int] = 1
    table: ClassVar[LandingTable] = OCI_COST_ROWS
    refuses_whole_deliveries: ClassVar[bool] = True
    partition_date_sql: ClassVar[str] = OCI_COST.partition_date_sql
    server: ClassVar[ServerKind | None] = None
    claim_columns: ClassVar[tuple[str, ...]] = OCI_COST.claim_columns
    sub_account_column: ClassVar[str] = "product_compartment_id"

    def check_options(self, options: Mapping[str, Any]) -> Iterator[OptionProblem]:
        """Those of `check_bill_options`."""
        yield from check_bill_options(OCI_COST, options)

    def read(self, source_object: SourceObject, sink: RowSink) -> None:
        """Write every readable row, refuse the others by line and field; options as `read_bill` says."""
        read_bill(OCI_COST, source_object, sink)
