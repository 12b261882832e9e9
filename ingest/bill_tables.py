"""The landing tables of bills, one for each kind of export."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from ingest import ranges
from ingest.landing_table import INSTANT, MONEY, TEXT, LandingTable


def _bound_bill(numbers: Sequence[str], currency_column: str, charged: str) -> dict[str, ranges.Range]:
    """What is charged refuses its row outside its range; what stands beside it is null there."""
    amount = ranges.bill_amount(currency_column)
    beside = {name: _find_kind(name) or replace(amount, refuses=False) for name in numbers}
    return beside | dict.fromkeys(charged.split(), amount)


def _find_kind(name: str) -> ranges.Range | None:
    if any(word in name for word in ("price_tier_start", "quantity", "usage", "count", "used_commitment")):
        return ranges.BILL_QUANTITY
    if name.startswith("cost_"):
        return None
    if "rate" in name:
        return ranges.EXCHANGE_RATE
    return ranges.BILL_PRICE if "price" in name else None


_FOCUS_MONEY = (
    "billed_cost effective_cost list_cost contracted_cost list_unit_price contracted_unit_price pricing_quantity "
    "consumed_quantity commitment_discount_quantity pricing_currency_contracted_unit_price "
    "pricing_currency_effective_cost pricing_currency_list_unit_price"
).split()
_FOCUS_INSTANTS = "billing_period_start billing_period_end charge_period_start charge_period_end".split()
_FOCUS_TEXTS = (
    "provider_name publisher_name invoice_issuer_name service_provider_name host_provider_name invoice_id "
    "invoice_detail_id billing_account_id billing_account_name billing_account_type sub_account_id sub_account_name "
    "sub_account_type billing_currency pricing_currency charge_category charge_class charge_description "
    "charge_frequency pricing_category pricing_unit consumed_unit service_name service_category service_subcategory "
    "sku_id sku_meter sku_price_id sku_price_details resource_id resource_name resource_type region_id region_name "
    "availability_zone commitment_discount_id commitment_discount_name commitment_discount_category "
    "commitment_discount_type commitment_discount_status commitment_discount_unit capacity_reservation_id "
    "capacity_reservation_status tags allocated_method_id allocated_method_details allocated_resource_id "
    "allocated_resource_name allocated_tags contract_applied commitment_program_eligibility_details"
).split()

FOCUS_CHARGES: Final = LandingTable(
    name="focus_charges",
    columns=(
        *((name, TEXT) for name in _FOCUS_TEXTS),
        *((name, INSTANT) for name in _FOCUS_INSTANTS),
        *((name, MONEY) for name in _FOCUS_MONEY),
    ),
    partition="billing_period_date",
    ranges=_bound_bill(_FOCUS_MONEY, "billing_currency", "billed_cost effective_cost list_cost contracted_cost"),
)

_CUR_TEXTS = (
    "identity_line_item_id identity_time_interval bill_bill_type bill_billing_entity bill_invoice_id "
    "bill_invoicing_entity bill_payer_account_id bill_payer_account_name line_item_availability_zone "
    "line_item_currency_code line_item_legal_entity line_item_line_item_description line_item_line_item_type "
    "line_item_operation line_item_product_code line_item_resource_id line_item_tax_type line_item_usage_account_id "
    "line_item_usage_account_name line_item_usage_type pricing_currency pricing_lease_contract_length "
    "pricing_offering_class pricing_public_on_demand_rate pricing_purchase_option pricing_rate_code pricing_rate_id "
    "pricing_term pricing_unit product product_product_name product_product_family product_instance_type "
    "product_region_code product_servicecode product_sku reservation_reservation_a_r_n "
    "savings_plan_savings_plan_a_r_n split_line_item_parent_resource_id resource_tags cost_category discount"
).split()
_CUR_INSTANTS = (
    "bill_billing_period_start_date bill_billing_period_end_date line_item_usage_start_date line_item_usage_end_date"
).split()
_CUR_MONEY = (
    "line_item_unblended_cost line_item_net_unblended_cost line_item_usage_amount pricing_public_on_demand_cost "
    "reservation_effective_cost reservation_net_effective_cost "
    "reservation_unused_amortized_upfront_fee_for_billing_period "
    "reservation_net_unused_amortized_upfront_fee_for_billing_period reservation_unused_recurring_fee "
    "reservation_net_unused_recurring_fee savings_plan_savings_plan_effective_cost "
    "savings_plan_net_savings_plan_effective_cost savings_plan_total_commitment_to_date savings_plan_used_commitment "
    "split_line_item_reserved_usage split_line_item_actual_usage split_line_item_split_usage "
    "split_line_item_split_usage_ratio split_line_item_split_cost split_line_item_net_split_cost "
    "split_line_item_unused_cost split_line_item_net_unused_cost split_line_item_public_on_demand_split_cost "
    "split_line_item_public_on_demand_unused_cost"
).split()

AWS_CUR_LINE_ITEMS: Final = LandingTable(  # by the names of CUR 2.0; maps are JSON
    name="aws_cur_line_items",
    columns=(
        *((name, TEXT) for name in _CUR_TEXTS),
        *((name, INSTANT) for name in _CUR_INSTANTS),
        *((name, MONEY) for name in _CUR_MONEY),
    ),
    partition="billing_period_date",
    ranges=_bound_bill(_CUR_MONEY, "line_item_currency_code", "line_item_unblended_cost line_item_net_unblended_cost"),
)

_GCP_TEXTS = (
    "billing_account_id invoice.month invoice.publisher_type cost_type service.id service.description sku.id "
    "sku.description project.id project.number project.name project.ancestry_numbers project.ancestors project.labels "
    "labels system_labels tags location.location location.country location.region location.zone resource.name "
    "resource.global_name currency usage.unit usage.pricing_unit price.unit consumption_model.id "
    "consumption_model.description subscription.instance_id credits adjustment_info.id adjustment_info.description "
    "adjustment_info.mode adjustment_info.type transaction_type seller_name"
).split()
_GCP_INSTANTS = "usage_start_time usage_end_time export_time".split()
_GCP_MONEY = (
    "cost cost_at_list cost_at_effective_price_default cost_at_list_consumption_model currency_conversion_rate "
    "usage.amount usage.amount_in_pricing_units price.effective_price price.effective_price_default price.list_price "
    "price.list_price_consumption_model price.tier_start_amount price.pricing_unit_quantity"
).split()

GCP_FIELDS: Final = {
    name.replace(".", "_"): name for names in (_GCP_TEXTS, _GCP_INSTANTS, _GCP_MONEY) for name in names
}
"""The contract's columns with the field of the export that each is, a record's fields behind its name and a point."""

GCP_BILLING_ROWS: Final = LandingTable(  # repeated fields are JSON
    name="gcp_billing_rows",
    columns=tuple(
        (name.replace(".", "_"), kind)
        for names, kind in ((_GCP_TEXTS, TEXT), (_GCP_INSTANTS, INSTANT), (_GCP_MONEY, MONEY))
        for name in names
    ),
    partition="billing_period_date",
    ranges=_bound_bill([name.replace(".", "_") for name in _GCP_MONEY], "currency", "cost"),
)

_AZURE_TEXTS = (
    "export_view billing_account_id billing_account_name billing_profile_id billing_profile_name invoice_id "
    "previous_invoice_id invoice_section_id invoice_section_name subscription_id subscription_name resource_group "
    "resource_id resource_name resource_location availability_zone meter_id meter_name meter_category "
    "meter_sub_category meter_region service_family consumed_service product_id product_name part_number "
    "unit_of_measure charge_type frequency pricing_model term publisher_type publisher_name plan_name offer_id "
    "cost_center reservation_id reservation_name product_order_id product_order_name benefit_id benefit_name "
    "cost_allocation_rule_name billing_currency pricing_currency additional_info tags"
).split()
_AZURE_INSTANTS = (
    "billing_period_start_date billing_period_end_date charge_date charge_end_date service_period_start_date "
    "service_period_end_date"
).split()
_AZURE_MONEY = (
    "cost_in_billing_currency cost_in_pricing_currency cost_in_usd payg_cost_in_billing_currency payg_cost_in_usd "
    "exchange_rate_pricing_to_billing quantity effective_price unit_price pay_g_price"
).split()

AZURE_COST_ROWS: Final = LandingTable(
    name="azure_cost_rows",
    columns=(
        *((name, TEXT) for name in _AZURE_TEXTS),
        *((name, INSTANT) for name in _AZURE_INSTANTS),
        *((name, MONEY) for name in _AZURE_MONEY),
    ),
    partition="billing_period_date",
    ranges=_bound_bill(_AZURE_MONEY, "billing_currency", "cost_in_billing_currency"),
)

_OCI_TEXTS = (
    "line_item_reference_no line_item_tenant_id product_service product_compartment_id product_compartment_name "
    "product_region product_availability_domain product_resource_id cost_subscription_id cost_product_sku "
    "product_description cost_currency_code cost_billing_unit_readable cost_sku_unit_description cost_overage_flag "
    "line_item_is_correction line_item_backreference_no tags"
).split()
_OCI_INSTANTS = "line_item_interval_usage_start line_item_interval_usage_end".split()
_OCI_MONEY = (
    "usage_billed_quantity usage_billed_quantity_overage cost_unit_price cost_unit_price_overage cost_my_cost "
    "cost_my_cost_overage"
).split()

OCI_COST_ROWS: Final = LandingTable(
    name="oci_cost_rows",
    columns=(
        *((name, TEXT) for name in _OCI_TEXTS),
        *((name, INSTANT) for name in _OCI_INSTANTS),
        *((name, MONEY) for name in _OCI_MONEY),
    ),
    partition="billing_period_date",
    ranges=_bound_bill(_OCI_MONEY, "cost_currency_code", "cost_my_cost"),
)

_INVOICE_TEXTS = (
    "provider account_id invoice_id invoice_status line_id charge_type sku description gpu_model resource_id "
    "resource_name project region unit currency commitment_id tags"
).split()
_INVOICE_INSTANTS = "billing_month period_start period_end commitment_start commitment_end".split()
_INVOICE_MONEY = "gpu_count quantity unit_price list_unit_price amount commitment_amount".split()

INVOICE_LINES: Final = LandingTable(
    name="invoice_lines",
    columns=(
        *((name, TEXT) for name in _INVOICE_TEXTS),
        *((name, INSTANT) for name in _INVOICE_INSTANTS),
        *((name, MONEY) for name in _INVOICE_MONEY),
    ),
    partition="billing_period_date",
    ranges=_bound_bill(_INVOICE_MONEY, "currency", "amount"),
)

BILL_PERIODS: Final = {
    FOCUS_CHARGES.name: ("charge_period_start", "charge_period_end"),
    AWS_CUR_LINE_ITEMS.name: ("line_item_usage_start_date", "line_item_usage_end_date"),
    GCP_BILLING_ROWS.name: ("usage_start_time", "usage_end_time"),
    AZURE_COST_ROWS.name: ("charge_date", "charge_end_date"),
    OCI_COST_ROWS.name: ("line_item_interval_usage_start", "line_item_interval_usage_end"),
    INVOICE_LINES.name: ("period_start", "period_end"),
}
"""The tables of bills, with the columns of a charge's start and end."""

BILL_AMOUNTS: Final = {
    FOCUS_CHARGES.name: (("billed_cost", "effective_cost"), "billing_currency"),
    AWS_CUR_LINE_ITEMS.name: (("line_item_unblended_cost",), "line_item_currency_code"),
    GCP_BILLING_ROWS.name: (("cost",), "currency"),
    AZURE_COST_ROWS.name: (("cost_in_billing_currency",), "billing_currency"),
    OCI_COST_ROWS.name: (("cost_my_cost",), "cost_currency_code"),
    INVOICE_LINES.name: (("amount",), "currency"),
}
"""The tables of bills, with the columns of what is charged, the first as billed, and of its currency."""

BILL_LINES: Final = {
    FOCUS_CHARGES.name: ((), ("invoice_id", "invoice_detail_id")),
    AWS_CUR_LINE_ITEMS.name: (
        (  # AWS promises an id that is unique in one file of an export
            "identity_line_item_id",
            "identity_time_interval",
            "line_item_line_item_type",
            "line_item_usage_account_id",
            "line_item_product_code",
            "line_item_usage_type",
            "line_item_operation",
            "line_item_resource_id",
        ),
        ("bill_invoice_id",),
    ),
    AZURE_COST_ROWS.name: ((), ("invoice_id", "previous_invoice_id")),
    OCI_COST_ROWS.name: (
        ("line_item_reference_no", "line_item_interval_usage_start", "product_resource_id", "cost_product_sku"),
        (),
    ),
    INVOICE_LINES.name: (("line_id", "invoice_id", "charge_type"), ()),
}
"""The tables of bills whose lines can be told, with the columns that tell one line from another, the first never null
where it does (none: all that the line says), and those that a draft has not yet, the first that of the invoice."""
