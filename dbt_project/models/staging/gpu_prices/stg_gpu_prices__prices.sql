-- One row per price in one catalogue of one day: a machine or a part of one, in a region, on demand or otherwise.
with source as (
    select * from {{ source('raw', 'gpu_prices') }}
),

renamed as (
    select
        -- keys
        _source as source_name,
        _object as object_uri,
        _position as object_position,
        catalogue as catalogue_name,
        lower(provider) as provider_id,
        region as region_id,
        zone as zone_id,
        instance_type,
        sku_id,

        -- dimensions
        description as price_description,
        price_kind,
        priced_part,
        gpu_model as catalogue_gpu_model,
        tier_start_units,

        -- quantities
        gpu_count,
        vcpu_count,
        memory_gib,

        -- money
        {{ usd('usd_per_hour') }} as usd_per_hour,

        -- time
        effective_at,
        as_of as catalogued_at,
        usage_date as catalogue_date
    from source
)

select * from renamed
