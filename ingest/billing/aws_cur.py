"""Read AWS Cost and Usage Reports: CUR 2.0 of Data Exports and legacy CUR, CSV (gzip or not) and Parquet.

Source: S3, as AWS Data Exports deliver it, with or without its manifests; a month is restated for about two weeks after
its end. Legacy names (`lineItem/UnblendedCost`, `resourceTags/user:team`) land under those of CUR 2.0; columns the
contract does not name, most of `product/…`, are kept as JSON in `_extra`. Landing table: aws_cur_line_items.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, ClassVar, Final

from ingest.billing.bill_format import BillFormat
from ingest.billing.bill_options import check_bill_options
from ingest.billing.tabular import read_bill
from ingest.contracts import AWS_CUR_LINE_ITEMS, LandingTable
from ingest.source import OptionProblem, RowSink, ServerKind, SourceObject

_KNOWN_TYPES: Final = (
    "Usage DiscountedUsage SavingsPlanCoveredUsage SavingsPlanNegation SavingsPlanRecurringFee SavingsPlanUpfrontFee "
    "RIFee Fee Credit Refund Tax BundledDiscount Discount EdpDiscount PrivateRateDiscount SppDiscount RiVolumeDiscount "
    "DistributorDiscount FlatRateSubscription"
).split()


def _key_below(*prefixes: str) -> Callable[[str], str | None]:
    """What follows one of the prefixes in a header: `resourceTags/user:team` -> `team`."""

    def find_key(header: str) -> str | None:
        for prefix in prefixes:
            if header.startswith(prefix):
                key = header.removeprefix(prefix)
                return next((key.removeprefix(mark) for mark in ("user:", "user_") if key.startswith(mark)), key)
        return None

    return find_key


def _without_user_mark(column: str = "$") -> str:
    r"""SQL of a JSON map with the mark of a customer's own tags taken off its keys. A quote inside a text is always
    behind a backslash, so that nothing but a key ends in `":`."""
    return f"regexp_replace({column}, '\"user[:_]([^\"\\\\]*)\"\\s*:', '\"\\1\":', 'g')"


AWS_CUR: Final = BillFormat(
    name="Cost and Usage Report",
    table=AWS_CUR_LINE_ITEMS,
    required=(
        "bill_payer_account_id",
        "bill_billing_period_start_date",
        "line_item_line_item_type",
        "line_item_usage_start_date",
        "line_item_usage_end_date",
        "line_item_unblended_cost",
    ),
    period_column="bill_billing_period_start_date",
    claim_columns=("bill_payer_account_id",),
    spell=str,
    expected={"line_item_currency_code": None, "pricing_public_on_demand_cost": None},
    rules=(
        (
            "line_item_usage_end_date",
            "line_item_usage_end_date < line_item_usage_start_date",
            "ends before it starts: periods are [start, end)",
        ),
        (
            "line_item_currency_code",
            "line_item_currency_code is not null and not regexp_matches(line_item_currency_code, '^[A-Z]{3}$')",
            "not a currency code: expected three capital letters (ISO 4217), such as USD",
        ),
        (
            "savings_plan_savings_plan_effective_cost",
            "line_item_line_item_type = 'SavingsPlanCoveredUsage' and savings_plan_savings_plan_effective_cost is null",
            "empty on usage that a savings plan covers, so that its cost is not known: "
            "add savings_plan_savings_plan_effective_cost to the export",
        ),
    ),
    repairs=(
        ("unknown_line_item_type", f"line_item_line_item_type not in {tuple(_KNOWN_TYPES)}"),
        (
            "reservation_cost_as_billed",
            "line_item_line_item_type = 'DiscountedUsage' and reservation_effective_cost is null "
            "or line_item_line_item_type = 'RIFee' and reservation_unused_recurring_fee is null",
        ),
        (
            "unused_commitment_derived",
            "line_item_line_item_type = 'SavingsPlanRecurringFee' and "
            "(savings_plan_total_commitment_to_date is null or savings_plan_used_commitment is null)",
        ),
    ),
    # Nothing is charged by the public price, and generators write words there.
    lenient_amounts=frozenset({"pricing_public_on_demand_cost", "split_line_item_split_usage_ratio"}),
    amount_nulls=("None",),
    keyed={
        "resource_tags": _key_below("resourceTags/", "resource_tags_"),
        "cost_category": _key_below("costCategory/", "cost_category_"),
    },
    rewritten={"resource_tags": _without_user_mark()},
)


class AwsCur:
    """One row per line item; split-cost rows of pods and tasks among them."""

    kind: ClassVar[str] = "aws_cur"
    reader_version: ClassVar[int] = 1
    table: ClassVar[LandingTable] = AWS_CUR_LINE_ITEMS
    refuses_whole_deliveries: ClassVar[bool] = True
    partition_date_sql: ClassVar[str] = "cast(bill_billing_period_start_date as date)"
    server: ClassVar[ServerKind | None] = None
    claim_columns: ClassVar[tuple[str, ...]] = AWS_CUR.claim_columns
    sub_account_column: ClassVar[str] = "line_item_usage_account_id"

    def check_options(self, options: Mapping[str, Any]) -> Iterator[OptionProblem]:
        """Those of `check_bill_options`."""
        yield from check_bill_options(AWS_CUR, options)

    def read(self, source_object: SourceObject, sink: RowSink) -> None:
        """Write every readable row, refuse the others by line and field; options as `read_bill` says."""
        read_bill(AWS_CUR, source_object, sink)
