-- Law 1 per node-hour: holders + idle + what no allocation speaks for = the node-hour's bill.
{{ config(meta={'dagster': {'ref': {'name': 'int_charges__held_hours'}}}) }}
with held as (
    select
        charge_key,
        charge_start_at,
        usage_hour_at,
        {{ costs('sum($) as $') }}
    from {{ ref('int_charges__held_hours') }}
    group by 1, 2, 3
),

billed as (
    select
        charge_key,
        charge_start_at,
        usage_hour_at,
        {{ costs('sum($) as $') }}
    from {{ ref('int_charges__node_hours') }}
    group by 1, 2, 3
)

select
    billed.charge_key,
    billed.usage_hour_at,
    billed.billed_cost_usd,
    held.billed_cost_usd as held_billed_cost_usd
from billed
full outer join held
    on
        billed.charge_key = held.charge_key
        and billed.charge_start_at = held.charge_start_at
        and billed.usage_hour_at = held.usage_hour_at
where
    {{ costs('billed.$ is distinct from held.$', joint='or') }}
