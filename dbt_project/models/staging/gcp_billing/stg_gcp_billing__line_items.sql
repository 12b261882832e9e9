-- One row per row of Google Cloud's billing export, in the currency it was billed in; its cost is before credits.
with source as (
    select * from {{ source('raw', 'gcp_billing_rows') }}
),

renamed as (
    select
        -- keys
        _source as source_name,
        _object as object_uri,
        _position as object_position,
        billing_account_id,
        project_id as sub_account_id,
        coalesce(resource_name, resource_global_name) as resource_id,
        resource_name,
        subscription_instance_id as subscription_id,
        sku_id,
        adjustment_info_id as adjustment_id,

        -- dimensions
        currency as currency_code,
        currency_conversion_rate as units_per_usd,
        cost_type as row_type,
        service_description as service_name,
        sku_description as charge_description,
        location_region as region_id,
        consumption_model_description as consumption_model,
        -- The nearer to the resource, the more it says.
        {{ merged_pairs(['project_labels', 'tags', 'labels']) }} as tags,

        -- money, in currency_code, lossless
        cost as gross_cost_local,
        cost_at_list as list_cost_local,
        -- Where no price without commitments is stated, the row has none but its own.
        case
            when cost_at_effective_price_default is not null then cost_at_effective_price_default
            when coalesce(consumption_model_description, 'Default') = 'Default' then cost
        end as contracted_cost_local,

        -- quantities, in consumed_unit
        usage_amount_in_pricing_units as consumed_quantity,
        usage_pricing_unit as consumed_unit,

        -- time; what is charged for one instant stands for its first hour
        billing_period_date as billing_period_start_date,
        usage_start_time as charge_start_at,
        case
            when usage_end_time > usage_start_time then usage_end_time
            else {{ add_hours('usage_start_time', 1) }}
        end as charge_end_at,
        export_time as exported_at
    from source
)

select * from renamed
