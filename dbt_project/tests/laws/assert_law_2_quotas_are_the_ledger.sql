-- Law 2: what quotas charge their holders is the ledger's, by day and team.
{{ config(meta={'dagster': {'ref': {'name': 'fct_quota_daily'}}}) }}
with ledger as (
    select
        usage_date,
        team_id,
        sum(effective_cost_usd) as ledger_cost_usd
    from {{ ref('fct_cost_ledger') }}
    where allocation_method = 'unused_quota_to_holder' and team_id != 'unallocated'
    group by usage_date, team_id
),

quotas as (
    select
        usage_date,
        team_id,
        sum(unused_quota_cost_usd) as quota_cost_usd
    from {{ ref('fct_quota_daily') }}
    group by usage_date, team_id
)

select
    usage_date,
    team_id,
    ledger.ledger_cost_usd,
    quotas.quota_cost_usd
from ledger
full outer join quotas using (usage_date, team_id)
where coalesce(ledger.ledger_cost_usd, 0) != coalesce(quotas.quota_cost_usd, 0)
