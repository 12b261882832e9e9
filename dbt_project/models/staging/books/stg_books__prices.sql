-- One row per close, price set of its ledger rows and price in it.
with source as (
    select * from {{ source('raw', 'book_closed_prices') }}
),

renamed as (
    select
        close_id,
        {{ price_columns() }}
    from source
)

select * from renamed
