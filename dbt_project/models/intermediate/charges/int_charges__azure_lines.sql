-- One row per charge line of an Azure bill as FOCUS has it. The actual view says what is billed and, but for
-- commitments, what it costs; the amortised view what commitments cost where they were used, and unused. With one view
-- alone both costs are its own. A bill that Azure also delivers as FOCUS is read there.
{{ config(materialized='view') }}

with items as (
    select
        items.*,
        bills.bill_view,
        bills.has_actual,
        bills.has_amortized,
        items.is_commitment and items.charge_type in ('purchase', 'refund') as is_commitment_purchase
    from {{ ref('stg_azure_cost__line_items') }} as items
    inner join {{ ref('int_charges__azure_bills') }} as bills
        on
            items.source_name = bills.source_name
            and items.export_view = bills.export_view
            and items.billing_account_id is not distinct from bills.billing_account_id
            and items.billing_period_start_date = bills.billing_period_start_date
    where bills.is_counted
),

costed as (
    select
        *,
        case
            when bill_view = 'amortized' and has_actual then 0
            else cost_local
        end as billed_cost_local,
        case
            when bill_view = 'actual' and has_amortized and is_commitment_purchase then 0
            else cost_local
        end as effective_cost_local,
        case
            when charge_type in ('usage', 'unusedreservation', 'unusedsavingsplan') then 'Usage'
            when charge_type in ('purchase', 'refund') then 'Purchase'
            when charge_type = 'tax' then 'Tax'
            when charge_type = 'credit' then 'Credit'
            else 'Adjustment'
        end as charge_category
    from items
    where
        bill_view = 'actual' and not (has_amortized and is_commitment and charge_type = 'usage' and cost_local = 0)
        or bill_view = 'amortized' and (not has_actual or (is_commitment and not is_commitment_purchase))
),

lines as (
    select
        costed.*,
        'Microsoft' as provider_name,
        case when charge_type = 'refund' then 'Correction' end as charge_class,
        case
            when lower(frequency) = 'onetime' then 'One-Time'
            when lower(frequency) = 'recurring' then 'Recurring'
            when charge_category = 'Usage' then 'Usage-Based'
            else 'One-Time'
        end as charge_frequency,
        case
            when charge_category = 'Usage' and is_commitment then 'Committed'
            when charge_category = 'Usage' and pricing_model = 'spot' then 'Dynamic'
            when charge_category in ('Usage', 'Purchase') then 'Standard'
        end as pricing_category,
        case
            when charge_type in ('unusedreservation', 'unusedsavingsplan') then 'Unused'
            when charge_category = 'Usage' and is_commitment then 'Used'
        end as commitment_discount_status,
        services.service_category,
        case
            when lower(service_part) like '%openai%' then 'Generative AI'
            else services.service_subcategory
        end as service_subcategory,
        cast(null as string) as sku_price_details
    from costed
    left join {{ ref('azure_services') }} as services on costed.service_name = services.service_name
)

select
    {{ charge_line_columns().replace('service_name', 'lines.service_name') }},
    consumed_quantity,
    consumed_unit
from lines
