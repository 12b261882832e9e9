-- One row per zone, sector and interval, as one object tells it, in its own currency per kilowatt-hour.
with source as (
    select * from {{ source('grid', 'electricity_prices') }}
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
        coalesce(sector, 'market') as sector_name,
        currency as currency_code,

        -- money
        price_per_kwh,

        -- time
        starts_at,
        ends_at,
        published_at
    from source
)

select * from renamed
