-- One row per charge line of an invoice as FOCUS has it. What a line costs is what it bills: such an invoice says what
-- of a commitment was not used in a line of its own, and spreads no fee over use.
{{ config(materialized='view') }}

with lines as (
    select
        *,
        case charge_type
            when 'commitment_purchase' then 'Purchase'
            when 'tax' then 'Tax'
            when 'credit' then 'Credit'
            when 'refund' then 'Credit'
            when 'adjustment' then 'Adjustment'
            else 'Usage'
        end as charge_category,
        case
            when
                charge_type in ('refund', 'adjustment')
                and cast(date_trunc('month', charge_start_at) as date) < billing_period_start_date
                then 'Correction'
        end as charge_class,
        case charge_type
            when 'usage' then 'Usage-Based'
            when 'storage' then 'Usage-Based'
            when 'network' then 'Usage-Based'
            when 'commitment_unused' then 'Usage-Based'
            when 'support' then 'Recurring'
            else 'One-Time'
        end as charge_frequency,
        case
            when charge_type = 'commitment_unused' or (charge_type = 'usage' and commitment_discount_id is not null)
                then 'Committed'
            when charge_type in ('usage', 'storage', 'network', 'commitment_purchase') then 'Standard'
        end as pricing_category,
        case
            when charge_type = 'commitment_unused' then 'Unused'
            when charge_type = 'usage' and commitment_discount_id is not null then 'Used'
        end as commitment_discount_status,
        case charge_type
            when 'support' then 'Support'
            when 'storage' then 'Storage'
            when 'network' then 'Network'
            else provider_name
        end as service_name,
        case
            when charge_type = 'storage' then 'Storage'
            when charge_type = 'network' then 'Networking'
            when charge_type = 'usage' and consumed_unit = 'Tokens' then 'AI and Machine Learning'
            when charge_type in ('usage', 'commitment_unused') then 'Compute'
        end as service_category,
        case when charge_type = 'usage' and consumed_unit = 'Tokens' then 'Generative AI' end as service_subcategory,
        cast(null as string) as sku_price_details,
        billed_cost_local as effective_cost_local,
        case when charge_type in ('usage', 'storage', 'network') then billed_cost_local end as contracted_cost_local
    from {{ ref('stg_invoice_csv__lines') }}
)

select
    {{ charge_line_columns() }},
    consumed_quantity,
    consumed_unit
from lines
