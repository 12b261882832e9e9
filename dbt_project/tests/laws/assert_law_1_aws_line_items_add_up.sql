-- Law 1 for bills of AWS: what the lines bill is what the report's own items ask for, and what they cost effectively is
-- AWS's amortised cost; per report and basis, to the last place. Split rows of pods and tasks are in neither.
{{ config(meta={'dagster': {'ref': {'name': 'int_charges__aws_lines'}}}) }}

{%- set bill = 'source_name, billing_account_id, billing_period_start_date, currency_code' %}

with items as (
    select * from {{ ref('stg_aws_cur__line_items') }}
    where not is_split_line
),

asked as (
    select
        {{ bill }},
        sum(unblended_cost_local) as billed_cost_local,
        sum(case
            when line_item_type = 'SavingsPlanCoveredUsage' then savings_plan_cost_local
            when line_item_type = 'SavingsPlanRecurringFee' then coalesce(savings_plan_unused_cost_local, 0)
            when line_item_type in ('SavingsPlanNegation', 'SavingsPlanUpfrontFee') then 0
            when line_item_type = 'DiscountedUsage' then coalesce(reservation_cost_local, unblended_cost_local)
            when line_item_type = 'RIFee' then coalesce(reservation_unused_cost_local, unblended_cost_local)
            when line_item_type = 'Fee' and reservation_id is not null then 0
            when
                line_item_type = 'Refund' and product_code = 'ComputeSavingsPlans'
                and charge_description like 'Refund for one-time fee for Savings Plan ID%' then 0
            else unblended_cost_local
        end) as effective_cost_local,
        sum(list_cost_local) as list_cost_local
    from items
    group by all
),

-- Fees that do not say what was used of them, less what their plan covers in the hour.
plan_rows as (
    select
        {{ bill }},
        savings_plan_id,
        charge_start_at,
        case
            when line_item_type = 'SavingsPlanRecurringFee' and savings_plan_unused_cost_local is null
                then unblended_cost_local
        end as unsaid_cost_local,
        case when line_item_type = 'SavingsPlanCoveredUsage' then savings_plan_cost_local else 0 end
            as covered_cost_local
    from items
    where line_item_type like 'SavingsPlan%'
),

plan_hours as (
    select
        {{ bill }},
        sum(unsaid_cost_local) - sum(covered_cost_local) as unused_cost_local
    from plan_rows
    group by {{ bill }}, savings_plan_id, charge_start_at
    having sum(unsaid_cost_local) is not null
),

sides as (
    select
        {{ bill }},
        billed_cost_local,
        effective_cost_local,
        list_cost_local
    from asked
    union all
    select
        {{ bill }},
        0,
        unused_cost_local,
        0
    from plan_hours
    union all
    select
        {{ bill }},
        -billed_cost_local,
        -effective_cost_local,
        -list_cost_local
    from {{ ref('int_charges__aws_lines') }}
)

select
    {{ bill }},
    sum(billed_cost_local) as billed_gap_local,
    sum(effective_cost_local) as effective_gap_local,
    sum(list_cost_local) as list_gap_local
from sides
where
    not exists (
        select 1 from {{ ref('stg_focus__charges') }} as focus
        where
            focus.provider_name = 'AWS'
            and focus.billing_account_id = sides.billing_account_id
            and focus.billing_period_start_date = sides.billing_period_start_date
    )
group by {{ bill }}
having sum(billed_cost_local) != 0 or sum(effective_cost_local) != 0 or sum(list_cost_local) != 0
