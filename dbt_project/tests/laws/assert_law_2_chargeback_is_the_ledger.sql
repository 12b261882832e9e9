-- Law 2: the daily chargeback is a projection of the ledger and adds nothing of its own.
{{ config(meta={'dagster': {'ref': {'name': 'fct_chargeback_daily'}}}) }}
with ledger as (
    select
        usage_date,
        team_id,
        {{ costs('sum($) as $') }}
    from {{ ref('fct_cost_ledger') }}
    group by 1, 2
),

chargeback as (
    select
        usage_date,
        team_id,
        {{ costs('sum($) as $') }}
    from {{ ref('fct_chargeback_daily') }}
    group by 1, 2
)

select
    coalesce(ledger.usage_date, chargeback.usage_date) as usage_date,
    coalesce(ledger.team_id, chargeback.team_id) as team_id,
    ledger.effective_cost_usd as ledger_effective_cost_usd,
    chargeback.effective_cost_usd as chargeback_effective_cost_usd
from ledger
full outer join chargeback
    on
        ledger.usage_date = chargeback.usage_date
        and ledger.team_id = chargeback.team_id
where
    {{ costs('ledger.$ is distinct from chargeback.$', joint='or') }}
