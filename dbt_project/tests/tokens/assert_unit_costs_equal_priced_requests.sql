-- One cost for one token: the mart's calculated cost is the sum over the calls, per day, to the nano-dollar.
{{ config(meta={'dagster': {'ref': {'name': 'fct_unit_costs_daily'}}}) }}

with mart as (
    select
        usage_date,
        sum(calculated_cost_usd) as calculated_cost_usd,
        sum(request_count) as request_count
    from {{ ref('fct_unit_costs_daily') }}
    group by usage_date
),

calls as (
    select
        usage_date,
        sum(calculated_cost_usd) as calculated_cost_usd,
        count(*) as request_count
    from {{ ref('int_tokens__requests') }}
    group by usage_date
)

select
    mart.*,
    calls.usage_date as call_date,
    calls.calculated_cost_usd as calls_cost_usd
from mart
full outer join calls on mart.usage_date = calls.usage_date
where
    mart.calculated_cost_usd is distinct from calls.calculated_cost_usd
    or mart.request_count is distinct from calls.request_count
