-- One row per input table and day that differs from what the last close in force was made from.
{{ config(materialized='view') }}

with last_close as (
    select close_id
    from {{ ref('int_books__closes') }}
    qualify row_number() over (order by period_start_date desc nulls last) = 1
),

at_close as (
    select
        inputs.input_name,
        inputs.usage_date,
        inputs.input_fingerprint
    from {{ ref('stg_books__close_inputs') }} as inputs
    inner join last_close on inputs.close_id = last_close.close_id
)

select
    coalesce(standing.input_name, at_close.input_name) as input_name,
    coalesce(standing.usage_date, at_close.usage_date) as usage_date
from {{ source('build', 'build_inputs') }} as standing
full outer join at_close
    on
        standing.input_name = at_close.input_name
        and standing.usage_date is not distinct from at_close.usage_date
where standing.fingerprint is distinct from at_close.input_fingerprint
