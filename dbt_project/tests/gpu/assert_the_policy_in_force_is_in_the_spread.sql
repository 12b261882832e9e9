-- The node rate in force is one of the four that the spread is over: its dollars lie between the lowest and the
-- highest, but for a nano-dollar of each node-hour that divisions leave.
{{ config(meta={'dagster': {'ref': {'name': 'int_charges__node_rate_spreads'}}}) }}

select *
from {{ ref('int_charges__node_rate_spreads') }}
where
    effective_cost_usd < least(residual_cost_usd, gpu_all_cost_usd, weights_cost_usd, fixed_cost_usd)
    - cast(0.000000001 as decimal(9, 9)) * node_hour_count
    or effective_cost_usd > greatest(residual_cost_usd, gpu_all_cost_usd, weights_cost_usd, fixed_cost_usd)
    + cast(0.000000001 as decimal(9, 9)) * node_hour_count
