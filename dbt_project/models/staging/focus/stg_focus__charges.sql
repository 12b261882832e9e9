-- One row per charge line of a FOCUS export, in the currency it was billed in.
with source as (
    select * from {{ source('raw', 'focus_charges') }}
),

renamed as (
    select
        -- keys
        _source as source_name,
        _object as object_uri,
        _position as object_position,
        coalesce(provider_name, service_provider_name, 'unknown') as provider_name,
        coalesce(billing_account_id, 'unknown') as billing_account_id,
        sub_account_id,
        invoice_id,
        resource_id,
        commitment_discount_id,
        sku_id,

        -- dimensions
        billing_currency as currency_code,
        charge_category,
        charge_class,
        charge_description,
        charge_frequency,
        pricing_category,
        service_name,
        service_category,
        service_subcategory,
        resource_name,
        commitment_discount_status,
        tags,
        sku_price_details,

        -- money, in currency_code, lossless
        {{ costs('@ as $', unit='local') }},

        -- money, in pricing_currency_code, which may be another
        pricing_currency as pricing_currency_code,
        pricing_currency_effective_cost as pricing_effective_cost_local,

        -- quantities, in consumed_unit
        consumed_quantity,
        consumed_unit,

        -- time
        billing_period_date as billing_period_start_date,
        charge_period_start as charge_start_at,
        charge_period_end as charge_end_at
    from source
)

select * from renamed
