-- One row per set of token prices that weighed a ledger row, and price in it: `price_set_id` read back. What closed
-- months were priced by comes from the books, whatever the price book says since.
with known as (
    select
        {{ price_columns() }}
    from {{ ref('int_tokens__price_sets') }}
    union all
    select
        {{ price_columns() }}
    from {{ ref('int_books__prices') }}
)

select
    price_set_id,
    price_id,
    max(gateway_provider) as gateway_provider,
    max(gateway_model) as gateway_model,
    max(token_class) as token_class,
    cast(max(tier_start_tokens) as bigint) as tier_start_tokens,
    max(usd_per_mtok) as usd_per_mtok,
    nullif(max(valid_from_date), cast('0001-01-01' as date)) as valid_from_date,
    max(price_source) as price_source
from known
group by price_set_id, price_id
