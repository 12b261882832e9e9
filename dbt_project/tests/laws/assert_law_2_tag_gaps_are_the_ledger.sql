-- Billing periods and named owners whose gaps do not add up to the ledger's untagged and unknown dollars.
{{ config(meta={'dagster': {'ref': {'name': 'fct_tag_gaps'}}}) }}
with both_sides as (
    select
        billing_period_start_date,
        team_id,
        effective_cost_usd
    from {{ ref('fct_cost_ledger') }}
    where team_id in ('untagged', 'unknown')
    union all
    select
        billing_period_start_date,
        team_id,
        -effective_cost_usd
    from {{ ref('fct_tag_gaps') }}
)

select
    billing_period_start_date,
    team_id
from both_sides
group by billing_period_start_date, team_id
having sum(effective_cost_usd) != 0
