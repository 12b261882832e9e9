"""What is counted and summed of each landing table, in SQL over the landed rows of one slice or batch.

Nothing here is shared with the models: a law that held them against their own code could not find what it loses.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from ingest.bill_tables import (
    AWS_CUR_LINE_ITEMS,
    AZURE_COST_ROWS,
    FOCUS_CHARGES,
    GCP_BILLING_ROWS,
    INVOICE_LINES,
    OCI_COST_ROWS,
)
from ingest.contracts import LITELLM_REQUESTS, OPENCOST_ALLOCATIONS, PROVIDER_RESULTS

ROW_COUNT: Final = "row_count"

KEYS: Final = ("provider_name", "billing_account_id", "billing_profile_id", "currency_code", "line_kind")
"""What figures are told apart by, beside source, object and partition date."""


@dataclass(frozen=True)
class Measures:
    """SQL by key and by measure; a key that is not named is null. `more_sql` selects further figures from the relation
    `counted`, as (_source, _object, partition date, the keys, measure, value)."""

    keys: Mapping[str, str] = field(default_factory=dict)
    sums: Mapping[str, str] = field(default_factory=dict)
    more_sql: str | None = None


_LARGEST: Final = "1e12"
"""No line of a bill is as large; what is would overflow a sum, and is no money that a model could carry."""


def bound(value: str) -> str:
    """A summand, null where it cannot be told or is beyond all reason: landing stops at no number."""
    return (
        f"case when abs(try_cast(try({value}) as double)) < {_LARGEST} "
        f"then try_cast(try({value}) as decimal(38, 18)) end"
    )


_COVERED: Final = "line_item_line_item_type = 'SavingsPlanCoveredUsage'"
_PLAN_COST: Final = "coalesce(savings_plan_net_savings_plan_effective_cost, savings_plan_savings_plan_effective_cost)"
_PLAN_UNUSED: Final = "savings_plan_total_commitment_to_date - savings_plan_used_commitment"
_UNBLENDED: Final = "coalesce(line_item_net_unblended_cost, line_item_unblended_cost)"
_IS_SPLIT: Final = "coalesce(line_item_operation in ('EKSPod-EC2', 'ECSTask-EC2'), false)"
_RESERVATION_COST: Final = "coalesce(reservation_net_effective_cost, reservation_effective_cost)"
_RESERVATION_UNUSED: Final = (
    "coalesce(reservation_net_unused_recurring_fee, reservation_unused_recurring_fee) + "
    "coalesce(reservation_net_unused_amortized_upfront_fee_for_billing_period, "
    "reservation_unused_amortized_upfront_fee_for_billing_period, 0)"
)

# AWS's amortised cost, type by type, but for plan fees that do not say what of them was used.
_AWS_EFFECTIVE: Final = f"""case
    when {_COVERED} then {_PLAN_COST}
    when line_item_line_item_type = 'SavingsPlanRecurringFee' then coalesce({_PLAN_UNUSED}, {_UNBLENDED})
    when line_item_line_item_type in ('SavingsPlanNegation', 'SavingsPlanUpfrontFee') then 0
    when line_item_line_item_type = 'DiscountedUsage' then coalesce({_RESERVATION_COST}, {_UNBLENDED})
    when line_item_line_item_type = 'RIFee' then coalesce({_RESERVATION_UNUSED}, {_UNBLENDED})
    when line_item_line_item_type = 'Fee' and reservation_reservation_a_r_n is not null then 0
    when line_item_line_item_type = 'Refund' and line_item_product_code = 'ComputeSavingsPlans'
        and line_item_line_item_description like 'Refund for one-time fee for Savings Plan ID%' then 0
    else {_UNBLENDED}
end"""

# Such a fee is less what the usage that its plan covered in the same hour costs.
_AWS_UNSAID_FEES: Final = f"""
    select _source, min(_object) as _object, billing_period_date as partition_date, 'AWS' as provider_name,
        bill_payer_account_id as billing_account_id, null as billing_profile_id,
        line_item_currency_code as currency_code, 'covered_by_unsaid_fees' as line_kind, 'effective_cost' as measure,
        -coalesce(sum({bound(_PLAN_COST)}) filter (where {_COVERED}), 0) as value
    from counted
    where not {_IS_SPLIT} and line_item_line_item_type like 'SavingsPlan%'
    group by _source, billing_period_date, bill_payer_account_id, line_item_currency_code,
        savings_plan_savings_plan_a_r_n, line_item_usage_start_date
    having count(*) filter (
        where line_item_line_item_type = 'SavingsPlanRecurringFee' and try({_PLAN_UNUSED}) is null
        and {_UNBLENDED} is not null
    ) > 0"""

# Each credit of a row is a line of its own kind: some are a part of its price, and no contract says those.
_GCP_CREDITS: Final = f"""
    select _source, _object, billing_period_date, 'Google Cloud', billing_account_id, null, currency,
        'credit ' || coalesce(credit.type, ''), unnest(['billed_cost', 'effective_cost', 'contracted_cost']),
        {bound("credit.amount")}
    from (
        select *, unnest(try(from_json(credits, '[{{"type": "VARCHAR", "amount": "VARCHAR"}}]'))) as credit from counted
    )"""

_AZURE_TYPE: Final = "lower(coalesce(charge_type, 'Usage'))"
_AZURE_COMMITTED: Final = "coalesce(lower(pricing_model) in ('reservation', 'savingsplan'), false)"
_AZURE_UNUSED: Final = f"{_AZURE_TYPE} in ('unusedreservation', 'unusedsavingsplan')"
_AZURE_RATE: Final = "coalesce(exchange_rate_pricing_to_billing, 1)"


def _azure_price(price: str) -> str:
    nine_places = f"cast({price} * cast({_AZURE_RATE} as decimal(18, 9)) as decimal(18, 9))"
    return f"cast(quantity * {nine_places} as decimal(38, 18))"


# Which view a row is of, and what the other view says in its place.
_AZURE_KIND: Final = f"""export_view || ' ' || case
    when {_AZURE_COMMITTED} and {_AZURE_TYPE} in ('purchase', 'refund') then 'commitment_purchase'
    when {_AZURE_COMMITTED} and {_AZURE_UNUSED} then 'commitment_unused'
    when {_AZURE_UNUSED} then 'unused'
    when {_AZURE_COMMITTED} and {_AZURE_TYPE} = 'usage' and cost_in_billing_currency != 0 then 'commitment_used'
    when {_AZURE_COMMITTED} and {_AZURE_TYPE} = 'usage' and cost_in_billing_currency = 0 then 'commitment_covered'
    when {_AZURE_COMMITTED} then 'commitment_other'
    else 'other'
end"""

# A call that says nothing of its input or of its output is unmetered: none of its tokens is known.
_INPUT: Final = "coalesce(prompt_tokens, total_tokens - completion_tokens)"
_OUTPUT: Final = "coalesce(completion_tokens, total_tokens - prompt_tokens)"
_METERED: Final = f"usage_status != 'missing' and {_INPUT} is not null and {_OUTPUT} is not null"
_INPUT_PARTS: Final = (
    "cache_read_tokens cache_write_5m_tokens cache_write_1h_tokens cache_write_other_tokens audio_input_tokens "
    "image_input_tokens"
).split()
_OUTPUT_PARTS: Final = "reasoning_tokens audio_output_tokens image_output_tokens".split()


def _metered_tokens(value: str) -> str:
    return f"case when {_METERED} then {value} end"


def _add_parts(columns: Sequence[str]) -> str:
    return " + ".join(f"coalesce({column}, 0)" for column in columns)


_REQUEST_SUMS: Final = {
    # Details that exceed their total are the log's own contradiction: such a call counts by its details.
    "input_tokens": _metered_tokens(f"greatest({_INPUT}, {_add_parts(_INPUT_PARTS)})"),
    "output_tokens": _metered_tokens(f"greatest({_OUTPUT}, {_add_parts(_OUTPUT_PARTS)})"),
    **{column: _metered_tokens(column) for column in (*_INPUT_PARTS, *_OUTPUT_PARTS)},
}

_RESULT_COUNTS: Final = (
    "uncached_input_tokens cache_read_tokens cache_write_5m_tokens cache_write_1h_tokens cache_write_other_tokens "
    "audio_input_tokens image_input_tokens output_tokens audio_output_tokens image_output_tokens request_count"
).split()

MEASURES: Final = {
    FOCUS_CHARGES.name: Measures(
        keys={
            "provider_name": "coalesce(provider_name, service_provider_name, 'unknown')",
            "billing_account_id": "coalesce(billing_account_id, 'unknown')",
            "currency_code": "billing_currency",
        },
        sums={basis: basis for basis in ("billed_cost", "effective_cost", "list_cost", "contracted_cost")},
    ),
    AWS_CUR_LINE_ITEMS.name: Measures(
        keys={
            "provider_name": "'AWS'",
            "billing_account_id": "bill_payer_account_id",
            "currency_code": "line_item_currency_code",
            "line_kind": f"case when {_IS_SPLIT} then 'split_of_a_node' end",
        },
        sums={
            "billed_cost": _UNBLENDED,
            "effective_cost": _AWS_EFFECTIVE,
            # A negation takes back what was charged, not what the list says of the same usage.
            "list_cost": "case when coalesce(line_item_line_item_type, '') != 'SavingsPlanNegation' "
            "then pricing_public_on_demand_cost end",
            "contracted_cost": "case when line_item_line_item_type not in ('DiscountedUsage', 'SavingsPlanNegation') "
            f"then {_UNBLENDED} end",
        },
        more_sql=_AWS_UNSAID_FEES,
    ),
    GCP_BILLING_ROWS.name: Measures(
        keys={
            "provider_name": "'Google Cloud'",
            "billing_account_id": "billing_account_id",
            "currency_code": "currency",
        },
        sums={
            "billed_cost": "cost",
            "effective_cost": "cost",
            "list_cost": "cost_at_list",
            "contracted_cost": "case when cost_at_effective_price_default is not null "
            "then cost_at_effective_price_default "
            "when coalesce(consumption_model_description, 'Default') = 'Default' then cost end",
        },
        more_sql=_GCP_CREDITS,
    ),
    AZURE_COST_ROWS.name: Measures(
        keys={
            "provider_name": "'Microsoft'",
            "billing_account_id": "coalesce(billing_account_id, subscription_id)",
            "billing_profile_id": "billing_profile_id",
            "currency_code": "billing_currency",
            "line_kind": _AZURE_KIND,
        },
        sums={
            "billed_cost": "cost_in_billing_currency",
            "effective_cost": "cost_in_billing_currency",
            # A price of 0 beside a cost is none.
            "list_cost": f"""case
                when payg_cost_in_billing_currency != 0 then payg_cost_in_billing_currency
                when pay_g_price != 0 then {_azure_price("pay_g_price")}
                when cost_in_billing_currency = 0 then 0
            end""",
            "contracted_cost": f"""case
                when unit_price != 0 then {_azure_price("unit_price")}
                when cost_in_billing_currency = 0 then 0
            end""",
        },
    ),
    OCI_COST_ROWS.name: Measures(
        keys={
            "provider_name": "'Oracle'",
            "billing_account_id": "line_item_tenant_id",
            "currency_code": "cost_currency_code",
        },
        sums=dict.fromkeys(("billed_cost", "effective_cost", "contracted_cost"), "cost_my_cost"),
    ),
    INVOICE_LINES.name: Measures(
        keys={
            "provider_name": "provider",
            "billing_account_id": "account_id",
            "currency_code": "currency",
        },
        sums={
            "billed_cost": "amount",
            "effective_cost": "amount",
            "list_cost": "cast(quantity * cast(list_unit_price as decimal(18, 9)) as decimal(38, 18))",
            "contracted_cost": "case when charge_type in ('usage', 'storage', 'network') then amount end",
        },
    ),
    OPENCOST_ALLOCATIONS.name: Measures(sums={"total_cost": "total_cost"}),
    PROVIDER_RESULTS.name: Measures(
        keys={"provider_name": "provider", "currency_code": "currency", "line_kind": "report"},
        sums={"reported_cost": "reported_cost", **{column: column for column in _RESULT_COUNTS}},
    ),
    LITELLM_REQUESTS.name: Measures(sums=_REQUEST_SUMS),
}
"""By landing table; of the others rows are counted."""
