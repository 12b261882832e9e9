-- One row per gateway provider, model, token class and validity of an own price.
with source as (
    select * from {{ source('raw', 'config_price_overrides') }}
),

renamed as (
    select
        provider,
        model,
        token_class,
        usd_per_mtok,
        source as price_source,
        {{ validity_dates() }}
    from source
)

select * from renamed
