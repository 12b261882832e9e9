-- One row per day, set of prices that a consumer's calls of the day were priced by, and price in it. A set is what one
-- tier of one model charges, or several of those.
{{ config(rebuild_touched('usage_date')) }}

with tier_prices as (
    select
        rates.price_set_id,
        prices.*
    from {{ ref('int_tokens__rates') }} as rates
    inner join {{ ref('int_tokens__model_prices') }} as prices
        on
            rates.usage_date = prices.usage_date
            and rates.gateway_provider is not distinct from prices.gateway_provider
            and rates.gateway_model = prices.gateway_model
            and rates.tier_start_tokens = prices.tier_start_tokens
    where
        prices.is_used
        and rates.usage_date in (select usage_date from {{ source('build', 'touched_days') }})
),

used_sets as (
    select distinct
        usage_date,
        price_set_id,
        tier_set_ids
    from {{ ref('int_tokens__consumer_days') }}
    where
        price_set_id is not null
        and usage_date in (select usage_date from {{ source('build', 'touched_days') }})
),

used_prices as (
    select
        used_sets.usage_date,
        used_sets.price_set_id,
        prices.price_id,
        prices.token_class,
        prices.price_tier_start_tokens as tier_start_tokens,
        prices.usd_per_mtok,
        prices.valid_from_date,
        max(prices.gateway_provider) as gateway_provider,
        max(prices.gateway_model) as gateway_model,
        max(prices.price_source) as price_source
    from used_sets
    inner join tier_prices as prices
        on
            used_sets.usage_date = prices.usage_date
            and used_sets.tier_set_ids like concat('%', prices.price_set_id, '%')
    group by
        used_sets.usage_date, used_sets.price_set_id, prices.price_id, prices.token_class,
        prices.price_tier_start_tokens, prices.usd_per_mtok, prices.valid_from_date
)

select
    usage_date,
    {{ price_columns() }}
from used_prices
