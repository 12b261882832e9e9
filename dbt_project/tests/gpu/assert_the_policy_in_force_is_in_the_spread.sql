-- The node rate in force is one of the four that the spread is over: per period, day, team and machine its dollars lie
-- between the lowest and the highest, but for a nano-dollar of each ledger row that divisions leave.
{{ config(meta={'dagster': {'ref': {'name': 'int_charges__node_rate_spreads'}}}) }}
with in_force as (
    select
        dimensions.billing_period_start_date,
        held.usage_date,
        held.team_id,
        held.cost_center_id,
        {{ node_key('dimensions.resource_id') }} as node_key,
        sum(held.effective_cost_usd) as cost_usd,
        sum(held.node_hour_count) * cast(0.000000001 as decimal(9, 9)) as tolerance_usd
    from {{ ref('int_charges__held') }} as held
    inner join {{ ref('int_charges__dimensions') }} as dimensions
        on held.charge_key = dimensions.charge_key
    where held.allocation_step in ('held', 'idle')
    group by 1, 2, 3, 4, 5
)

select
    in_force.*,
    spreads.residual_cost_usd
from in_force
left join {{ ref('int_charges__node_rate_spreads') }} as spreads
    on
        in_force.billing_period_start_date = spreads.billing_period_start_date
        and in_force.usage_date = spreads.usage_date
        and in_force.team_id = spreads.team_id
        and in_force.cost_center_id is not distinct from spreads.cost_center_id
        and in_force.node_key = spreads.node_key
where
    spreads.node_key is null
    or in_force.cost_usd < least(
        spreads.residual_cost_usd, spreads.gpu_all_cost_usd, spreads.weights_cost_usd, spreads.fixed_cost_usd
    ) - in_force.tolerance_usd
    or in_force.cost_usd > greatest(
        spreads.residual_cost_usd, spreads.gpu_all_cost_usd, spreads.weights_cost_usd, spreads.fixed_cost_usd
    ) + in_force.tolerance_usd
