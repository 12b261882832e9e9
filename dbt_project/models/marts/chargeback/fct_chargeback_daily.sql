-- One row per day, team, cost centre and cost pool: what is charged.
select
    usage_date,
    team_id,
    cost_center_id,
    cost_pool,
    {{ costs(usd_sum('$') ~ ' as $') }},
    cast(coalesce(sum(effective_cost_usd) filter (where is_estimate), 0) as decimal(38, 9))
        as estimated_effective_cost_usd,
    count(*) as ledger_row_count
from {{ ref('fct_cost_ledger') }}
group by usage_date, team_id, cost_center_id, cost_pool
