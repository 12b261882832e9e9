"""Read Google Cloud's billing export to BigQuery, standard and detailed: JSON lines, Parquet and CSV of its tables.

Source: `bq extract`, `EXPORT DATA` or a query; the table is appended to, so that corrections are rows of their own and
a month's rows still arrive days after its end. Records keep their names with a point for a field (`invoice.month`);
repeated ones (`credits`, `labels`) are JSON of one spelling, and columns the contract does not name are kept in
`_extra`. Landing table: gcp_billing_rows.
"""

from typing import ClassVar, Final

from ingest.bill_tables import GCP_FIELDS
from ingest.billing.bill_format import BillFormat, ListShape
from ingest.billing.tabular import read_bill
from ingest.contracts import GCP_BILLING_ROWS, LandingTable
from ingest.source import RowSink, ServerKind, SourceObject

_COST_TYPES: Final = ("regular", "tax", "adjustment", "rounding_error")
_CREDIT_TYPES: Final = (
    "COMMITTED_USAGE_DISCOUNT COMMITTED_USAGE_DISCOUNT_DOLLAR_BASE FEE_UTILIZATION_OFFSET SUSTAINED_USAGE_DISCOUNT "
    "DISCOUNT SPENDING_BASED_DISCOUNT PROMOTION FREE_TIER SUBSCRIPTION_BENEFIT RESELLER_MARGIN"
).split()
_PAIR: Final = ListShape(texts=("key", "value"))


def _has_unknown_credit() -> str:
    types = "json_extract_string(credits, '$[*].type')"
    return f"len(list_filter({types}, lambda x: x != '' and x not in {tuple(_CREDIT_TYPES)})) > 0"


GCP_BILLING: Final = BillFormat(
    name="Google Cloud billing export",
    table=GCP_BILLING_ROWS,
    required=(
        "billing_account_id",
        "invoice_month",
        "cost_type",
        "usage_start_time",
        "usage_end_time",
        "cost",
        "currency",
    ),
    period_column="invoice_month",
    period_sql="cast(try_strptime(invoice_month, '%Y%m') as date)",
    claim_columns=("billing_account_id",),
    spell=GCP_FIELDS.__getitem__,
    # Without credits a bill is too high, and without a list price no saving is known.
    expected={"credits": None, "cost_at_list": None},
    rules=(
        (
            "invoice_month",
            "try_strptime(invoice_month, '%Y%m') is null or length(invoice_month) != 6",
            "not a month: expected YYYYMM, such as 202609",
        ),
        (
            "usage_end_time",
            "usage_end_time < usage_start_time",
            "ends before it starts: periods are [start, end)",
        ),
        (
            "currency",
            "not regexp_matches(currency, '^[A-Z]{3}$')",
            "not a currency code: expected three capital letters (ISO 4217), such as USD",
        ),
    ),
    repairs=(
        ("unknown_cost_type", f"cost_type not in {_COST_TYPES}"),
        ("unknown_credit_type", _has_unknown_credit()),
    ),
    # Byte-seconds of a large store are more than an amount can be, and nothing is charged by them.
    lenient_amounts=frozenset({"usage_amount", "price_tier_start_amount"}),
    lists={
        "credits": ListShape(texts=("type", "name", "full_name", "id"), amounts=("amount",)),
        "labels": _PAIR,
        "system_labels": _PAIR,
        "project_labels": _PAIR,
        "tags": ListShape(texts=("key", "value", "inherited", "namespace")),
        "project_ancestors": ListShape(texts=("resource_name", "display_name")),
    },
    has_records=True,
)


class GcpBilling:
    """One row per row of the export, its credits inside."""

    kind: ClassVar[str] = "gcp_billing"
    table: ClassVar[LandingTable] = GCP_BILLING_ROWS
    refuses_whole_deliveries: ClassVar[bool] = True
    partition_date_sql: ClassVar[str] = GCP_BILLING.partition_date_sql
    server: ClassVar[ServerKind | None] = None
    claim_columns: ClassVar[tuple[str, ...]] = GCP_BILLING.claim_columns
    sub_account_column: ClassVar[str] = "project_id"

    def read(self, source_object: SourceObject, sink: RowSink) -> None:
        """Write every readable row, refuse the others by line and field; options as `read_bill` says."""
        read_bill(GCP_BILLING, source_object, sink)
