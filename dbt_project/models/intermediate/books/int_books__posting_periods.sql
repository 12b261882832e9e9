-- One row per closed period: the first period after it that is open, in which its corrections are posted.
{{ config(materialized='view') }}

with closes as (
    select
        period_start_date,
        {{ next_month('period_start_date') }} as next_period_start_date
    from {{ ref('int_books__closes') }}
),

gaps as (
    select closes.next_period_start_date
    from closes
    left join closes as next_closes on closes.next_period_start_date = next_closes.period_start_date
    where next_closes.period_start_date is null
)

select
    closes.period_start_date,
    min(gaps.next_period_start_date) as posting_period_start_date
from closes
inner join gaps on closes.period_start_date < gaps.next_period_start_date
group by closes.period_start_date
