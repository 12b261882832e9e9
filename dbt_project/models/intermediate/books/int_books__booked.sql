-- One row per ledger row that a close in force booked, of the billing periods being built.
select
    {{ ledger_key() }} as ledger_key,
    *
from {{ ref('stg_books__ledger') }}
where
    close_id in (select close_id from {{ ref('int_books__closes') }})
    and billing_period_start_date in (
        select billing_period_start_date from {{ source('build', 'touched_periods') }}
    )
