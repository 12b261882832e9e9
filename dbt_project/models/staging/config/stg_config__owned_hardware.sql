-- One row per owned machine and validity of what it costs a month.
with source as (
    select * from {{ source('raw', 'config_owned_hardware') }}
),

renamed as (
    select
        asset_id,
        resource_id,
        coalesce(hostname, resource_id) as hostname,
        facility_id,
        gpu_model,
        gpu_count,
        purchase_cost_usd,
        residual_usd,
        in_service_date,
        useful_life_months as useful_life_month_count,
        space_usd_per_month,
        staff_usd_per_month,
        maintenance_usd_per_month,
        source as asset_source,
        _object as object_uri,
        _position as object_position,
        {{ validity_dates() }}
    from source
)

select * from renamed
