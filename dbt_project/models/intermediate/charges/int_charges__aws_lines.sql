-- One row per charge line of an AWS bill as FOCUS has it: each line item but the split rows of pods and tasks, and a
-- line of its own for what of a commitment was paid and not used. A bill that AWS also delivers as FOCUS is read there.
{{ config(materialized='view') }}

with items as (
    select * from {{ ref('stg_aws_cur__line_items') }} as items
    where
        not items.is_split_line
        and not exists (
            select 1 from {{ ref('stg_focus__charges') }} as focus
            where
                focus.provider_name = 'AWS'
                and focus.billing_account_id = items.billing_account_id
                and focus.billing_period_start_date = items.billing_period_start_date
        )
),

costed as (
    select
        items.*,
        coalesce(items.savings_plan_id, items.reservation_id) as commitment_discount_id,
        services.service_category,
        services.service_subcategory,
        coalesce(plans.billed_cost_local, items.unblended_cost_local) as billed_cost_local,
        case
            when plans.effective_cost_local is not null then plans.effective_cost_local
            when items.line_item_type = 'DiscountedUsage'
                then coalesce(items.reservation_cost_local, items.unblended_cost_local)
            when items.line_item_type = 'RIFee' and items.reservation_unused_cost_local is not null then 0
            when items.line_item_type = 'Fee' and items.reservation_id is not null then 0
            when
                items.line_item_type = 'Refund' and items.product_code = 'ComputeSavingsPlans'
                and items.charge_description like 'Refund for one-time fee for Savings Plan ID%' then 0
            else items.unblended_cost_local
        end as effective_cost_local,
        case
            when items.line_item_type = 'RIFee' then items.reservation_unused_cost_local
            else plans.unused_cost_local
        end as unused_cost_local,
        case
            when items.line_item_type in ('Usage', 'DiscountedUsage', 'SavingsPlanCoveredUsage', 'SavingsPlanNegation')
                then 'Usage'
            when items.line_item_type like '%Fee' or items.line_item_type = 'FlatRateSubscription' then 'Purchase'
            when items.line_item_type = 'Tax' then 'Tax'
            when items.line_item_type in ('Credit', 'Refund') or items.line_item_type like '%Discount' then 'Credit'
            else 'Adjustment'
        end as charge_category,
        items.line_item_type in ('DiscountedUsage', 'SavingsPlanCoveredUsage') as is_covered
    from items
    left join {{ ref('int_charges__aws_plan_lines') }} as plans
        on
            items.source_name = plans.source_name
            and items.object_uri = plans.object_uri
            and items.object_position = plans.object_position
            and items.billing_period_start_date = plans.billing_period_start_date
    left join {{ ref('aws_services') }} as services on items.product_code = services.product_code
    where items.line_item_type != 'SavingsPlanNegation' or plans.billed_cost_local is not null
),

lines as (
    select
        *,
        'AWS' as provider_name,
        case
            when line_item_type = 'Refund' and cast(charge_start_at as date) < billing_period_start_date
                then 'Correction'
        end as charge_class,
        case
            when charge_category = 'Usage' then 'Usage-Based'
            when line_item_type in ('RIFee', 'SavingsPlanRecurringFee', 'FlatRateSubscription') then 'Recurring'
            else 'One-Time'
        end as charge_frequency,
        case
            when is_covered then 'Committed'
            when charge_category = 'Usage' and usage_type like '%Spot%' then 'Dynamic'
            when charge_category in ('Usage', 'Purchase') then 'Standard'
        end as pricing_category,
        case when is_covered then 'Used' end as commitment_discount_status,
        cast(null as string) as resource_name,
        cast(null as string) as sku_price_details,
        -- What a reservation covers has no price without it on its line.
        case
            when line_item_type not in ('DiscountedUsage', 'SavingsPlanNegation') then unblended_cost_local
        end as contracted_cost_local
    from costed
)

select
    {{ charge_line_columns() }},
    consumed_quantity,
    consumed_unit
from lines
union all
select
    {%- set unused = {
        'resource_id': 'commitment_discount_id',
        'charge_category': "'Usage'",
        'charge_class': 'cast(null as string)',
        'charge_frequency': "'Usage-Based'",
        'pricing_category': "'Committed'",
        'commitment_discount_status': "'Unused'",
        'billed_cost_local': 'cast(0 as decimal(38, 18))',
        'effective_cost_local': 'unused_cost_local',
        'list_cost_local': 'cast(0 as decimal(38, 18))',
        'contracted_cost_local': 'cast(0 as decimal(38, 18))',
    } %}
    {% for column in charge_line_columns().replace('\n', ' ').split(',') | map('trim') -%}
    {{ unused.get(column, column) }},
    {% endfor -%}
    cast(null as decimal(38, 18)),
    cast(null as string)
from lines
where unused_cost_local != 0
