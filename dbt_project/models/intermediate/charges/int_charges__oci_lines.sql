-- One row per charge line of an Oracle Cloud bill as FOCUS has it: each row of the cost reports, corrections too. A
-- bill that Oracle also delivers as FOCUS is read there.
{{ config(materialized='view') }}

with lines as (
    select
        *,
        'Oracle' as provider_name,
        cast(null as string) as invoice_id,
        cast(null as string) as commitment_discount_id,
        cast(null as string) as commitment_discount_status,
        'Usage' as charge_category,
        case when is_correction then 'Correction' end as charge_class,
        'Usage-Based' as charge_frequency,
        'Standard' as pricing_category,
        case
            when service_name = 'COMPUTE' then 'Compute'
            when service_name like '%STORAGE%' then 'Storage'
            when service_name like '%DATABASE%' then 'Databases'
            when service_name like '%NETWORK%' then 'Networking'
            when service_name like 'GENERATIVE%AI' then 'AI and Machine Learning'
            when service_name = 'TELEMETRY' then 'Management and Governance'
        end as service_category,
        case when service_name like 'GENERATIVE%AI' then 'Generative AI' end as service_subcategory,
        cast(null as string) as resource_name,
        cast(null as string) as sku_price_details,
        billed_cost_local as effective_cost_local,
        cast(null as decimal(38, 18)) as list_cost_local,
        -- A unit price is the contract's own.
        billed_cost_local as contracted_cost_local
    from {{ ref('stg_oci_cost__line_items') }} as items
    where
        not exists (
            select 1 from {{ ref('stg_focus__charges') }} as focus
            where
                focus.provider_name = 'Oracle'
                and focus.billing_account_id = items.billing_account_id
                and focus.billing_period_start_date = items.billing_period_start_date
        )
)

select
    {{ charge_line_columns() }},
    consumed_quantity,
    consumed_unit
from lines
