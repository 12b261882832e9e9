-- No accrual on a day that a bill covers, and adjustments add up to 0.
{{ config(meta={'dagster': {'ref': {'name': 'fct_cost_ledger'}}}) }}
select
    accruals.charge_key,
    accruals.usage_date,
    'billed' as broken_rule
from {{ ref('int_charges__accruals') }} as accruals
inner join {{ ref('int_charges__routed') }} as billed
    on
        accruals.usage_date = billed.usage_date
        and (
            (accruals.resource_id = billed.node_key and billed.is_node_charge)
            or (
                accruals.resource_id is null
                and accruals.provider_name = billed.gateway_provider_name
                and billed.is_api_model_charge
            )
        )
union all
select
    charge_key,
    max(usage_date),
    'does_not_add_up_to_zero'
from {{ ref('int_charges__zero_sum') }}
group by charge_key
having sum(effective_cost_usd) != 0 or sum(billed_cost_usd) != 0
