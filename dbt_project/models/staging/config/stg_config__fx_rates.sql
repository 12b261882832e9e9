-- One row per currency and validity: USD for one unit of it.
with source as (
    select * from {{ source('raw', 'config_fx_rates') }}
),

renamed as (
    select
        currency_code,
        to_currency_code,
        rate as usd_per_unit,
        source as rate_source,
        {{ validity_dates() }}
    from source
)

select * from renamed
