-- One row per list price of a token class: book, provider, model, class, tier and validity.
with source as (
    select * from {{ source('llm_prices', 'llm_prices') }}
),

renamed as (
    select
        -- keys
        price_id,
        provider as gateway_provider,
        model as gateway_model,
        price_model_id,
        token_class,
        tier_start_tokens,
        price_book,

        -- money
        usd_per_mtok,

        -- time: a blank bound is open
        {{ validity_dates() }}
    from source
)

select * from renamed
