-- Law 3: whatever way a charge group went and whatever moved it, its shares sum to it, for every cost basis; what a
-- policy moves sums to nothing, on every day of a charge group.
{{ config(meta={'dagster': {'ref': {'name': 'int_charges__moves'}}}) }}
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
    from (
        select
            charge_key,
            {{ costs() }}
        from {{ ref('int_charges__allocated') }}
        where allocation_step != 'rounding'
        union all
        select
            charge_key,
            {{ costs() }}
        from {{ ref('int_charges__moves') }}
    ) as ways
    group by 1
),

moved as (
    select
        charge_key,
        usage_date,
        {{ costs('sum($) as $') }}
    from {{ ref('int_charges__moves') }}
    group by 1, 2
)

select
    coalesce(charged.charge_key, allocated.charge_key) as charge_key,
    charged.effective_cost_usd,
    allocated.effective_cost_usd as allocated_effective_cost_usd
from charged
full outer join allocated on charged.charge_key = allocated.charge_key
where
    {{ costs('charged.$ is distinct from allocated.$', joint='or') }}
union all
select
    charge_key,
    cast(0 as decimal(38, 9)),
    effective_cost_usd
from moved
where
    {{ costs('$ != 0', joint='or') }}
