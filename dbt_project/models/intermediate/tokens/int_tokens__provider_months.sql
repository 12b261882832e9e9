-- One row per provider and calendar month: what the gateway's traffic is worth at the price book.
select
    provider_name,
    cast(date_trunc('month', usage_date) as date) as month_start_date,
    {{ usd_sum('calculated_cost_usd') }} as calculated_cost_usd
from {{ ref('int_tokens__consumer_days') }}
group by all
