-- One row per zone and interval, as one object tells it, in grams of CO2 equivalent per kilowatt-hour.
with source as (
    select * from {{ source('grid', 'carbon_intensity') }}
),

renamed as (
    select
        -- keys
        _source as source_name,
        _object as object_uri,
        _position as object_position,
        layout as layout_name,
        zone as zone_id,

        -- dimensions
        coalesce(factor_type, 'unknown') as factor_type,
        basis,
        coalesce(is_estimated, false) as is_estimated,

        -- quantities
        gco2e_per_kwh,

        -- time
        starts_at,
        ends_at,
        published_at
    from source
)

select * from renamed
