-- One row per price of a class and tier of tokens of a model in one catalogue of one day.
with source as (
    select * from {{ source('llm_price_catalogue', 'llm_catalogue_prices') }}
),

renamed as (
    select
        -- keys
        _source as source_name,
        _object as object_uri,
        _position as object_position,
        catalogue as catalogue_name,
        provider as gateway_provider,
        model as gateway_model,
        token_class,
        tier_start_tokens,

        -- money
        usd_per_mtok,

        -- time
        as_of as catalogued_at,
        usage_date as catalogue_date
    from source
)

select * from renamed
