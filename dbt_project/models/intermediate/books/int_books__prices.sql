-- One row per price set of a ledger row that a close in force booked, and price in it.
select distinct
    price_set_id,
    price_id,
    gateway_provider,
    gateway_model,
    token_class,
    tier_start_tokens,
    usd_per_mtok,
    valid_from_date,
    price_source
from {{ ref('stg_books__prices') }}
where close_id in (select close_id from {{ ref('int_books__closes') }})
