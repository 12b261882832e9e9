"""Read Google Cloud's billing export to BigQuery, standard and detailed: JSON lines, Parquet and CSV of its tables.

Source: BigQuery itself (`gcp_bigquery`), or files of `bq extract`, `EXPORT DATA` or a query. The table is appended to,
so that corrections are rows of their own and a month's rows still arrive days after its end. Records keep their names
with a point for a field (`invoice.month`); repeated ones (`credits`, `labels`) are JSON of one spelling, and columns
the contract does not name are kept in `_extra`. Landing table: gcp_billing_rows.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final

from ingest.bill_tables import GCP_FIELDS
from ingest.billing.bill_format import BillFormat, ListShape
from ingest.billing.bill_options import check_bill_options
from ingest.billing.tabular import read_bill
from ingest.contracts import GCP_BILLING_ROWS, LandingTable
from ingest.server_options import SERVER_OPTIONS, check_server_names
from ingest.source import OptionProblem, RowSink, ServerKind, SourceObject

if TYPE_CHECKING:
    from ingest.billing.gcp_bigquery import GcpBigquery

_OWN_OPTIONS: Final = ("endpoint_url", "query_project", "scope")
_COMMON_OPTIONS: Final = ("since", "until", "timeout_seconds")

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


class GcpBigqueryKind:
    """The export's own table, an invoice month at a time."""

    schemes: ClassVar[tuple[str, ...]] = ("bigquery",)

    def check_options(self, options: Mapping[str, Any]) -> Iterator[OptionProblem]:
        """`endpoint_url`, `query_project`, `scope`, and of the common ones `since`, `until` and `timeout_seconds`."""
        yield from check_server_names(options, _OWN_OPTIONS)
        for name in (name for name in SERVER_OPTIONS if name in options and name not in _COMMON_OPTIONS):
            allowed = "none: credentials are found as Google's own tools find them, and no month is ever settled"
            yield OptionProblem(name, "an option", allowed)
        project = options.get("query_project", "a")
        if not isinstance(project, str) or not project.strip() or not project.isprintable():
            yield OptionProblem("query_project", repr(project), "the id of a project")

    def connect(self, location: str, options: Mapping[str, Any], base_dir: Path) -> "GcpBigquery":
        # Google's library takes longer to import than all else: only who asks BigQuery waits for it.
        from ingest.billing.gcp_bigquery import GcpBigquery

        return GcpBigquery(location, options)


class GcpBilling:
    """One row per row of the export, its credits inside."""

    kind: ClassVar[str] = "gcp_billing"
    reader_version: ClassVar[int] = 1
    table: ClassVar[LandingTable] = GCP_BILLING_ROWS
    refuses_whole_deliveries: ClassVar[bool] = True
    partition_date_sql: ClassVar[str] = GCP_BILLING.partition_date_sql
    server: ClassVar[ServerKind | None] = GcpBigqueryKind()
    claim_columns: ClassVar[tuple[str, ...]] = GCP_BILLING.claim_columns
    sub_account_column: ClassVar[str] = "project_id"

    def check_options(self, options: Mapping[str, Any]) -> Iterator[OptionProblem]:
        """Those of `check_bill_options`."""
        yield from check_bill_options(GCP_BILLING, options)

    def read(self, source_object: SourceObject, sink: RowSink) -> None:
        """Write every readable row, refuse the others by line and field; options as `read_bill` says."""
        read_bill(GCP_BILLING, source_object, sink)
