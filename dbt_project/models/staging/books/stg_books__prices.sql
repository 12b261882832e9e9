-- One row per close, price set of its ledger rows and price in it.
with source as (
    select * from {{ source('raw', 'book_closed_prices') }}
),

renamed as (
    select
        close_id,
        price_set_id,
        price_id,
        gateway_provider,
        gateway_model,
        token_class,
        tier_start_tokens,
        usd_per_mtok,
        valid_from_date,
        price_source
    from source
)

select * from renamed
