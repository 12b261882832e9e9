-- Law 9: what the ledger says of a closed period is what its close booked, row by row, and nothing else.
{{ config(meta={'dagster': {'ref': {'name': 'fct_cost_ledger'}}}) }}
with booked as (
    select booked.*
    from {{ ref('stg_books__ledger') }} as booked
    inner join {{ ref('int_books__closes') }} as closes on booked.close_id = closes.close_id
),

ledger as (
    select ledger.*
    from {{ ref('fct_cost_ledger') }} as ledger
    inner join {{ ref('int_books__closes') }} as closes
        on ledger.posting_period_start_date = closes.period_start_date
)

select
    coalesce(booked.ledger_row_id, ledger.ledger_row_id) as ledger_row_id,
    booked.effective_cost_usd as booked_effective_cost_usd,
    ledger.effective_cost_usd
from booked
full outer join ledger on booked.ledger_row_id = ledger.ledger_row_id
where
    booked.team_id is distinct from ledger.team_id
    or booked.posting_period_start_date is distinct from ledger.posting_period_start_date
    or {{ costs('booked.$ is distinct from ledger.$', joint='or') }}
