-- Law 3: whatever way a charge group went, its shares sum to it, for every cost basis.
{{ config(meta={'dagster': {'ref': {'name': 'int_charges__allocated'}}}) }}
with charged as (
    select
        charge_key,
        {{ costs('sum($) as $') }}
    from {{ ref('int_charges__routed') }}
    group by 1
),

allocated as (
    select
        charge_key,
        {{ costs('sum($) as $') }}
    from {{ ref('int_charges__allocated') }}
    where allocation_step != 'rounding'
    group by 1
)

select
    coalesce(charged.charge_key, allocated.charge_key) as charge_key,
    charged.effective_cost_usd,
    allocated.effective_cost_usd as allocated_effective_cost_usd
from charged
full outer join allocated on charged.charge_key = allocated.charge_key
where
    {{ costs('charged.$ is distinct from allocated.$', joint='or') }}
