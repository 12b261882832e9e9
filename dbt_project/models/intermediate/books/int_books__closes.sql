-- One row per period that is closed: the close that is in force, since no reopen names it.
{{ config(materialized='view') }}

select
    closes.period_start_date,
    closes.close_id,
    closes.revision,
    closes.acted_at as closed_at,
    closes.close_reason,
    closes.accepted_blockers,
    closes.close_fingerprint
from {{ ref('stg_books__closes') }} as closes
left join {{ ref('stg_books__closes') }} as reopens
    on
        closes.close_id = reopens.close_id
        and reopens.close_action = 'reopen'
where closes.close_action = 'close' and reopens.close_id is null
