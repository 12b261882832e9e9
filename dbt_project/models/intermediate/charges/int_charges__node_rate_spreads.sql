-- One row per billing period, day, team, cost centre and machine: what its holders, or idle, would be charged of node
-- bills under each policy `node_rate`, before idle is moved. Shown beside the ledger, never added to it.
{{ config(rebuild_touched('billing_period_start_date', touched_by=['int_charges__dimensions'])) }}

select
    dimensions.billing_period_start_date,
    held.usage_date,
    held.team_id,
    held.cost_center_id,
    {{ node_key('dimensions.resource_id') }} as node_key,
    {{ node_rates(usd_sum('held.$_cost_usd') ~ ' as $_cost_usd') }},
    {{ usd_sum('held.effective_cost_usd') }} as effective_cost_usd,
    sum(held.node_hour_count) as node_hour_count
from {{ ref('int_charges__held') }} as held
inner join {{ ref('int_charges__dimensions') }} as dimensions
    on held.charge_key = dimensions.charge_key
where held.allocation_step in ('held', 'idle')
group by all
