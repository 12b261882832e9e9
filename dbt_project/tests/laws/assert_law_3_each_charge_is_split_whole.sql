-- Law 3: whatever way a charge group went, its shares sum to it, for every cost basis.
{{ config(meta={'dagster': {'ref': {'name': 'int_charges__allocated'}}}) }}
with charged as (
    select
        charge_key,
        sum(billed_cost_usd) as billed_cost_usd,
        sum(effective_cost_usd) as effective_cost_usd,
        sum(list_cost_usd) as list_cost_usd
    from {{ ref('int_charges__routed') }}
    group by 1
),

allocated as (
    select
        charge_key,
        sum(billed_cost_usd) as billed_cost_usd,
        sum(effective_cost_usd) as effective_cost_usd,
        sum(list_cost_usd) as list_cost_usd
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
    charged.billed_cost_usd is distinct from allocated.billed_cost_usd
    or charged.effective_cost_usd is distinct from allocated.effective_cost_usd
    or charged.list_cost_usd is distinct from allocated.list_cost_usd
