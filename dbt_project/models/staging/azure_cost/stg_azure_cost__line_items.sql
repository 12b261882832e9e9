-- One row per row of an Azure cost export, actual or amortised, in the currency it was billed in.
with source as (
    select
        *,
        coalesce(lower(pricing_model) in ('reservation', 'savingsplan'), false) as is_commitment,
        -- "100 Hours", "10K", "1/Month": a pack, and what is in it.
        nullif(regexp_extract(unit_of_measure, '^([0-9]+)', 1), '') as pack_count,
        regexp_extract(unit_of_measure, '^[0-9]+([KM])', 1) as pack_scale,
        nullif(trim(regexp_extract(unit_of_measure, '^[0-9]*[KM]?[ /]*(.*)$', 1)), '') as pack_unit,
        {{ json_text('additional_info', "'VMName'") }} as vm_name,
        cast(coalesce(exchange_rate_pricing_to_billing, 1) as decimal(18, 9)) as units_per_priced
    from {{ source('raw', 'azure_cost_rows') }}
),

renamed as (
    select
        -- keys
        _source as source_name,
        _object as object_uri,
        _position as object_position,
        export_view,
        -- Pay-as-you-go knows no account above the subscription.
        coalesce(billing_account_id, subscription_id) as billing_account_id,
        billing_profile_id,
        subscription_id as sub_account_id,
        invoice_id,
        -- A scale set is charged as one; its machines are told apart by their names alone.
        case
            when
                lower(resource_id) like '%/virtualmachinescalesets/%'
                and lower(resource_id) not like '%/virtualmachinescalesets/%/%'
                and regexp_extract(vm_name, '_([0-9]+)$', 1) != ''
                then concat(lower(resource_id), '/virtualmachines/', regexp_extract(vm_name, '_([0-9]+)$', 1))
            else lower(resource_id)
        end as resource_id,
        coalesce(resource_name, vm_name) as resource_name,
        -- Purchase, use and what is left unused name the order alike, and nothing else.
        case
            when is_commitment then lower(coalesce(product_order_id, reservation_id, benefit_id))
        end as commitment_discount_id,
        coalesce(meter_id, part_number) as sku_id,

        -- dimensions
        billing_currency as currency_code,
        lower(coalesce(charge_type, 'Usage')) as charge_type,
        lower(pricing_model) as pricing_model,
        is_commitment,
        frequency,
        meter_category as service_name,
        meter_sub_category as service_part,
        coalesce(product_name, meter_name) as charge_description,
        publisher_type,
        resource_location as region_id,
        {{ json_text('additional_info', "'ServiceType'") }} as instance_type,
        tags,

        -- money, in currency_code, lossless; a price of 0 beside a cost is none
        cost_in_billing_currency as cost_local,
        case
            when payg_cost_in_billing_currency != 0 then payg_cost_in_billing_currency
            when pay_g_price != 0
                then {{ or_null(
                    'cast(quantity * cast(pay_g_price * units_per_priced as decimal(18, 9)) as decimal(38, 18))'
                ) }}
            when cost_in_billing_currency = 0 then 0
        end as list_cost_local,
        case
            when unit_price != 0
                then {{ or_null(
                    'cast(quantity * cast(unit_price * units_per_priced as decimal(18, 9)) as decimal(38, 18))'
                ) }}
            when cost_in_billing_currency = 0 then 0
        end as contracted_cost_local,

        -- quantities, in consumed_unit
        {{ or_null(
            "cast(quantity * coalesce(cast(pack_count as bigint), 1)"
            ~ " * case pack_scale when 'K' then 1000 when 'M' then 1000000 else 1 end as decimal(38, 18))"
        ) }} as consumed_quantity,
        case
            when pack_unit is not null then pack_unit
            when lower(meter_name) like '% token%' then 'Tokens'
            when unit_of_measure is not null then 'Units'
        end as consumed_unit,

        -- time
        billing_period_date as billing_period_start_date,
        charge_date as charge_start_at,
        charge_end_date as charge_end_at
    from source
)

select * from renamed
