-- One row per facility and validity of its electricity tariff.
with source as (
    select * from {{ source('raw', 'config_tariffs') }}
),

renamed as (
    select
        facility_id,
        usd_per_kwh,
        source as tariff_source,
        {{ validity_dates() }}
    from source
)

select * from renamed
