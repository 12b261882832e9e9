"""Read Azure Cost Management exports that are not FOCUS: actual and amortised cost of EA, MCA and pay-as-you-go.

Source: CSV (gzip or not) and Parquet, with or without `manifest.json`. Each agreement and version spells its columns in
its own way (`Cost`, `CostInBillingCurrency`, `PreTaxCost`), and dates in the order of its country. The actual and the
amortised export are two views of one bill: `options.view` of a source says which one it is. Landing table:
azure_cost_rows.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, ClassVar, Final

from ingest.billing.bill_format import BillFormat
from ingest.billing.bill_options import check_bill_options
from ingest.billing.tabular import read_bill
from ingest.contracts import AZURE_COST_ROWS, LandingTable
from ingest.source import ObjectRefusedError, OptionProblem, RowSink, ServerKind, SourceObject

VIEWS: Final = ("actual", "amortized")
UNSAID: Final = "unsaid"

_CHARGE_TYPES: Final = (
    "Usage Purchase Refund UnusedReservation UnusedSavingsPlan Tax Credit RoundingAdjustment Adjustment"
).split()
_PRICING_MODELS: Final = ("OnDemand", "Spot", "Reservation", "SavingsPlan")
_COMMITTED: Final = "lower(pricing_model) in ('reservation', 'savingsplan')"
_OWN_SOURCE: Final = "give each export a source of its own, with options.view actual or amortized"
# Azure writes its own tags as the inside of a JSON object.
_TAGS_SQL: Final = "case when json_valid($) or not json_valid('{' || $ || '}') then $ else '{' || $ || '}' end"

AZURE_COST: Final = BillFormat(
    name="Azure cost export",
    table=AZURE_COST_ROWS,
    required=("charge_date", "cost_in_billing_currency"),
    period_column="billing_period_start_date",
    period_sql="cast(date_trunc('month', coalesce(billing_period_start_date, charge_date)) as date)",
    claim_columns=("billing_account_id", "export_view"),
    spell=lambda name: "Date" if name == "charge_date" else "".join(part.capitalize() for part in name.split("_")),
    aliases={
        "date": "charge_date",
        "usage_date_time": "charge_date",
        "cost": "cost_in_billing_currency",
        "pre_tax_cost": "cost_in_billing_currency",
        "currency": "billing_currency",
        "billing_currency_code": "billing_currency",
        "subscription_guid": "subscription_id",
        "resource_group_name": "resource_group",
        "instance_id": "resource_id",
        "product": "product_name",
        "usage_quantity": "quantity",
        "resource_rate": "effective_price",
        "invoice_section": "invoice_section_name",
    },
    expected={"billing_currency": None, "charge_type": None, "pricing_model": None},
    rules=(
        (
            "billing_currency",
            "billing_currency is not null and not regexp_matches(billing_currency, '^[A-Z]{3}$')",
            "not a currency code: expected three capital letters (ISO 4217), such as USD",
        ),
        (
            "charge_type",
            "export_view = 'actual' and lower(charge_type) in ('unusedreservation', 'unusedsavingsplan')",
            f"a row of amortised cost in a source of actual cost, which would charge the bill twice: {_OWN_SOURCE}",
        ),
        (
            "charge_type",
            f"export_view = 'amortized' and lower(charge_type) = 'purchase' and {_COMMITTED}",
            f"a row of actual cost in a source of amortised cost, which would charge the bill twice: {_OWN_SOURCE}",
        ),
    ),
    repairs=(
        ("unknown_charge_type", f"charge_type not in {tuple(_CHARGE_TYPES)}"),
        ("unknown_pricing_model", f"pricing_model not in {_PRICING_MODELS}"),
    ),
    # Prices and quantities explain a cost, they do not make it; one export has words where there is no price.
    lenient_amounts=frozenset(
        name
        for name, _ in AZURE_COST_ROWS.columns
        if name.endswith("price") or name.startswith(("quantity", "payg", "exchange"))
    ),
    outputs={"charge_end_date": "charge_date + interval 1 day"},
    rewritten={"tags": _TAGS_SQL},
)


class AzureCost:
    """One row per row of the export: a day, a resource and a meter, or a purchase."""

    kind: ClassVar[str] = "azure_cost"
    reader_version: ClassVar[int] = 1
    table: ClassVar[LandingTable] = AZURE_COST_ROWS
    refuses_whole_deliveries: ClassVar[bool] = True
    partition_date_sql: ClassVar[str] = AZURE_COST.partition_date_sql
    server: ClassVar[ServerKind | None] = None
    claim_columns: ClassVar[tuple[str, ...]] = AZURE_COST.claim_columns
    sub_account_column: ClassVar[str] = "subscription_id"

    def check_options(self, options: Mapping[str, Any]) -> Iterator[OptionProblem]:
        """Those of `check_bill_options`, and `view`."""
        yield from check_bill_options(AZURE_COST, options, "view")
        if options.get("view", UNSAID) not in (*VIEWS, UNSAID):
            yield OptionProblem("view", repr(options["view"]), " or ".join(VIEWS))

    def read(self, source_object: SourceObject, sink: RowSink) -> None:
        """Write every readable row, refuse the others by line and field.

        Options: those of `read_bill`, and `view` (`actual` or `amortized`); without it the rows tell, which does where
        one of the two is delivered. Raises `ObjectRefusedError` for what is no such export.
        """
        options = dict(source_object.options)
        view = options.get("view", UNSAID)
        if view not in (*VIEWS, UNSAID):
            raise ObjectRefusedError(
                f"options.view of the source: found {view!r}; allowed: {' or '.join(VIEWS)}", field="view"
            )
        options["defaults"] = {**(options.get("defaults") or {}), "export_view": view}
        read_bill(AZURE_COST, replace(source_object, options=options), sink)
