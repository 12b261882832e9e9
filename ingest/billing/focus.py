"""Read FOCUS 1.0 to 1.4 cost and usage: CSV (gzip or not) and Parquet, columns by name in any order and case.

Source: https://focus.finops.org; AWS, Azure, Google Cloud exports and anything else that writes the format. Columns
the contract does not name (`x_…` and others) are kept as JSON in `_extra`.
"""

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Final

from ingest.billing.bill_format import BillFormat
from ingest.billing.bill_options import check_bill_options
from ingest.billing.tabular import read_bill
from ingest.contracts import FOCUS_CHARGES, LandingTable
from ingest.source import OptionProblem, RowSink, ServerKind, SourceObject
from ingest.values import CURRENCY_PATTERN


def _spell(column: str) -> str:
    """billed_cost -> BilledCost."""
    return "".join(word.capitalize() for word in column.split("_"))


def _ends_too_early(period: str) -> tuple[str, str, str]:
    reason = f"ends before or when {_spell(period)}Start begins: periods are [start, end)"
    return f"{period}_end", f"{period}_end <= {period}_start", reason


FOCUS: Final = BillFormat(
    name="FOCUS",
    table=FOCUS_CHARGES,
    required=(
        "billed_cost",
        "effective_cost",
        "billing_period_start",
        "charge_period_start",
        "charge_period_end",
        "charge_category",
    ),
    period_column="billing_period_start",
    claim_columns=("provider_name", "billing_account_id"),
    spell=_spell,
    expected={"billing_account_id": None, "billing_currency": None, "provider_name": "service_provider_name"},
    rules=(
        _ends_too_early("charge_period"),
        _ends_too_early("billing_period"),
        (
            "billing_currency",
            f"billing_currency is not null and not regexp_matches(billing_currency, '{CURRENCY_PATTERN}')",
            "not a currency code: expected three capital letters (ISO 4217), such as USD, or the name of a virtual "
            "currency, such as Credits or Databricks DBUs",
        ),
    ),
    other_datasets={
        "contractcommitmentid": "Contract Commitment",
        "invoicedetailgrain": "Invoice Detail",
        "invoicedetailcreated": "Invoice Detail",
        "billingperiodstatus": "Billing Period",
    },
    repairs=(
        ("derived_billing_period_end", "billing_period_end is null"),
        ("derived_provider_name", "provider_name is null and service_provider_name is not null"),
        ("derived_publisher_name", "publisher_name is null and host_provider_name is not null"),
    ),
    outputs={
        "provider_name": "coalesce(provider_name, service_provider_name)",
        "service_provider_name": "coalesce(service_provider_name, provider_name)",
        "publisher_name": "coalesce(publisher_name, host_provider_name)",
        "host_provider_name": "coalesce(host_provider_name, publisher_name)",
        "billing_period_end": "coalesce(billing_period_end, billing_period_start + interval 1 month)",
    },
)


class Focus:
    """One row per charge, as billed; grain is the provider's own."""

    kind: ClassVar[str] = "focus"
    reader_version: ClassVar[int] = 1
    table: ClassVar[LandingTable] = FOCUS_CHARGES
    refuses_whole_deliveries: ClassVar[bool] = True
    partition_date_sql: ClassVar[str] = "cast(billing_period_start as date)"
    server: ClassVar[ServerKind | None] = None
    claim_columns: ClassVar[tuple[str, ...]] = FOCUS.claim_columns
    sub_account_column: ClassVar[str] = "sub_account_id"

    def check_options(self, options: Mapping[str, Any]) -> Iterator[OptionProblem]:
        """Those of `check_bill_options`."""
        yield from check_bill_options(FOCUS, options)

    def read(self, source_object: SourceObject, sink: RowSink) -> None:
        """Write every readable row, refuse the others by line and field.

        Options: `defaults` and `date_format`, as `read_bill` says. Raises `ObjectRefusedError` for what is no FOCUS
        file.
        """
        read_bill(FOCUS, source_object, sink)
