-- One row per row of an Oracle Cloud cost report, in the currency it was billed in.
with source as (
    select * from {{ source('raw', 'oci_cost_rows') }}
),

renamed as (
    select
        -- keys
        _source as source_name,
        _object as object_uri,
        _position as object_position,
        line_item_reference_no as line_id,
        line_item_tenant_id as billing_account_id,
        product_compartment_id as sub_account_id,
        product_resource_id as resource_id,
        cost_product_sku as sku_id,

        -- dimensions
        cost_currency_code as currency_code,
        product_service as service_name,
        product_description as charge_description,
        product_region as region_id,
        coalesce(line_item_is_correction = 'true', false) as is_correction,
        case when line_item_is_correction = 'true' then line_item_backreference_no end as corrected_line_id,
        tags,

        -- money, in currency_code, lossless
        cost_my_cost as billed_cost_local,

        -- quantities, in consumed_unit
        usage_billed_quantity as consumed_quantity,
        cost_sku_unit_description as consumed_unit,

        -- time; what is charged for one instant stands for its first hour
        billing_period_date as billing_period_start_date,
        line_item_interval_usage_start as charge_start_at,
        case
            when line_item_interval_usage_end > line_item_interval_usage_start then line_item_interval_usage_end
            else {{ add_hours('line_item_interval_usage_start', 1) }}
        end as charge_end_at
    from source
)

select * from renamed
