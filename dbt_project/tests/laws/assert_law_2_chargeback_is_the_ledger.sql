-- Law 2: the daily chargeback is a projection of the ledger and adds nothing of its own.
{{ config(meta={'dagster': {'ref': {'name': 'fct_chargeback_daily'}}}) }}
with ledger as (
    select
        usage_date,
        team_id,
        sum(billed_cost_usd) as billed_cost_usd,
        sum(effective_cost_usd) as effective_cost_usd,
        sum(list_cost_usd) as list_cost_usd
    from {{ ref('fct_cost_ledger') }}
    group by 1, 2
),

chargeback as (
    select
        usage_date,
        team_id,
        sum(billed_cost_usd) as billed_cost_usd,
        sum(effective_cost_usd) as effective_cost_usd,
        sum(list_cost_usd) as list_cost_usd
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
    ledger.billed_cost_usd is distinct from chargeback.billed_cost_usd
    or ledger.effective_cost_usd is distinct from chargeback.effective_cost_usd
    or ledger.list_cost_usd is distinct from chargeback.list_cost_usd
