-- Law 2: what showback says was held is the ledger's held and idle dollars of cluster nodes, by day, team and cost
-- centre.
{{ config(meta={'dagster': {'ref': {'name': 'fct_showback_daily'}}}) }}
with ledger as (
    select
        usage_date,
        team_id,
        coalesce(cost_center_id, '') as cost_center_id,
        sum(effective_cost_usd) as held_cost_usd
    from {{ ref('fct_cost_ledger') }}
    where cost_pool = 'cluster_nodes' and allocation_step in ('held', 'idle')
    group by 1, 2, 3
),

showback as (
    select
        usage_date,
        team_id,
        coalesce(cost_center_id, '') as cost_center_id,
        sum(held_cost_usd) as held_cost_usd
    from {{ ref('fct_showback_daily') }}
    group by 1, 2, 3
    having sum(held_cost_usd) is not null
)

select
    ledger.held_cost_usd as ledger_held_cost_usd,
    showback.held_cost_usd as showback_held_cost_usd,
    coalesce(ledger.usage_date, showback.usage_date) as usage_date,
    coalesce(ledger.team_id, showback.team_id) as team_id
from ledger
full outer join showback
    on
        ledger.usage_date = showback.usage_date
        and ledger.team_id = showback.team_id
        and ledger.cost_center_id = showback.cost_center_id
where ledger.held_cost_usd is distinct from showback.held_cost_usd
