-- One row per savings plan line of an AWS bill: what of it is billed, and what of the commitment nobody used.
-- Covered usage stands at its on-demand price and is taken back by negations elsewhere: billed is the plan's fee alone.
-- What the two leave between them, if anything, stays with one line, so that the bill adds up to the last place. A fee
-- that does not say how much of it was used is less what the covered usage of its plan and hour costs.
{{ config(rebuild_touched('billing_period_start_date')) }}

{%- set bill = 'source_name, billing_account_id, billing_period_start_date, currency_code' %}
{%- set plan_hour = bill ~ ', savings_plan_id, charge_start_at' %}

with plan_items as (
    select
        *,
        line_item_type in ('SavingsPlanCoveredUsage', 'SavingsPlanNegation') as is_taken_back,
        line_item_type = 'SavingsPlanRecurringFee' and savings_plan_unused_cost_local is null as is_unsaid
    from {{ ref('stg_aws_cur__line_items') }}
    where
        not is_split_line
        and line_item_type like 'SavingsPlan%'
        and billing_period_start_date in (
            select billing_period_start_date from {{ source('build', 'touched_periods') }}
        )
),

ranked as (
    select
        *,
        row_number() over (
            partition by {{ bill }}, is_taken_back order by line_item_type desc, object_uri, object_position nulls last
        ) as bill_rank,
        row_number() over (
            partition by {{ plan_hour }}, is_unsaid order by object_uri, object_position nulls last
        ) as hour_rank,
        sum(unblended_cost_local) over (partition by {{ bill }}, is_taken_back) as bill_cost_local,
        sum(case when is_unsaid then unblended_cost_local end) over (partition by {{ plan_hour }}) as hour_fee_local,
        sum(case when line_item_type = 'SavingsPlanCoveredUsage' then savings_plan_cost_local end) over (
            partition by {{ plan_hour }}
        ) as hour_covered_local
    from plan_items
)

select
    source_name,
    object_uri,
    object_position,
    case
        when not is_taken_back then unblended_cost_local
        when bill_rank = 1 then cast(bill_cost_local as decimal(38, 18))
        else cast(0 as decimal(38, 18))
    end as billed_cost_local,
    case
        when line_item_type = 'SavingsPlanCoveredUsage' then savings_plan_cost_local
        else cast(0 as decimal(38, 18))
    end as effective_cost_local,
    case
        when not is_unsaid then savings_plan_unused_cost_local
        when hour_rank = 1 then cast(hour_fee_local - coalesce(hour_covered_local, 0) as decimal(38, 18))
    end as unused_cost_local,
    billing_period_start_date
from ranked
where
    line_item_type != 'SavingsPlanNegation'
    or (bill_rank = 1 and bill_cost_local != 0)
