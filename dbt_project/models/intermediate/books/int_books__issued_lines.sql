-- One row per line of a statement that was ever issued, and whether its close is in force.
{{ config(materialized='view') }}

select
    lines.*,
    closes.close_id is not null as is_in_force
from {{ ref('stg_books__statement_lines') }} as lines
inner join {{ ref('stg_books__closes') }} as actions
    on
        lines.close_id = actions.close_id
        and actions.close_action = 'close'
left join {{ ref('int_books__closes') }} as closes on lines.close_id = closes.close_id
