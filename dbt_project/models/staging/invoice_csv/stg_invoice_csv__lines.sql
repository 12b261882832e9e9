-- One row per line of an invoice, in the currency it was billed in.
with source as (
    select * from {{ source('raw', 'invoice_lines') }}
),

renamed as (
    select
        -- keys
        _source as source_name,
        _object as object_uri,
        _position as object_position,
        provider as provider_name,
        account_id as billing_account_id,
        project as sub_account_id,
        invoice_id,
        resource_id,
        commitment_id as commitment_discount_id,
        sku as sku_id,

        -- dimensions
        currency as currency_code,
        charge_type,
        coalesce(description, sku) as charge_description,
        resource_name,
        gpu_model,
        region as region_name,
        tags,

        -- money, in currency_code, lossless
        amount as billed_cost_local,
        {{ or_null('cast(quantity * cast(list_unit_price as decimal(18, 9)) as decimal(38, 18))') }} as list_cost_local,

        -- quantities, in consumed_unit
        quantity as consumed_quantity,
        unit as consumed_unit,
        gpu_count,

        -- time
        billing_period_date as billing_period_start_date,
        period_start as charge_start_at,
        period_end as charge_end_at
    from source
)

select * from renamed
