-- One row per day, gateway model, tier of input tokens and price of a token class that holds there: what counts
-- (`is_used`), and what the price book says (`is_book`). An own price wins over the book in every tier. A class that a
-- tier does not price apart keeps the lower tier's price.
{{ config(rebuild_touched('usage_date')) }}

with models as (
    select *
    from {{ ref('int_tokens__used_models') }}
    where usage_date in (select usage_date from {{ source('build', 'touched_days') }})
),

book as (
    select
        models.usage_date,
        models.gateway_provider,
        models.gateway_model,
        prices.token_class,
        coalesce(prices.tier_start_tokens, 0) as tier_start_tokens,
        prices.price_id,
        prices.usd_per_mtok,
        prices.price_book as price_source,
        prices.valid_from_date
    from models
    inner join {{ ref('stg_llm_prices__prices') }} as prices
        on
            models.gateway_provider is not distinct from prices.gateway_provider
            and prices.gateway_model in (models.gateway_model, models.model_id)
            and {{ is_valid_on('prices', 'models.usage_date') }}
    qualify row_number() over (
        partition by
            models.usage_date, models.gateway_provider, models.gateway_model,
            prices.token_class, prices.tier_start_tokens
        order by
            prices.gateway_model = models.gateway_model desc nulls last,
            prices.valid_from_date desc,
            prices.price_book desc,
            prices.price_id
    ) = 1
),

own as (
    select
        models.usage_date,
        models.gateway_provider,
        models.gateway_model,
        overrides.token_class,
        concat_ws(
            '/', 'override', overrides.provider, overrides.model, overrides.token_class,
            cast(overrides.valid_from_date as string)
        ) as price_id,
        overrides.usd_per_mtok,
        coalesce(overrides.price_source, 'price_overrides.csv') as price_source,
        overrides.valid_from_date
    from models
    inner join {{ ref('stg_config__price_overrides') }} as overrides
        on
            models.gateway_provider is not distinct from overrides.provider
            and overrides.model in (models.gateway_model, models.model_id)
            and {{ is_valid_on('overrides', 'models.usage_date') }}
    qualify row_number() over (
        partition by models.usage_date, models.gateway_provider, models.gateway_model, overrides.token_class
        order by
            overrides.model = models.gateway_model desc nulls last,
            overrides.valid_from_date desc,
            overrides.usd_per_mtok
    ) = 1
),

tiers as (
    select
        usage_date,
        gateway_provider,
        gateway_model,
        tier_start_tokens
    from book
    union
    select
        usage_date,
        gateway_provider,
        gateway_model,
        0
    from own
),

candidates as (
    select
        tiers.*,
        book.token_class,
        book.price_id,
        book.usd_per_mtok,
        book.price_source,
        book.valid_from_date,
        0 as is_own,
        book.tier_start_tokens as price_tier_start_tokens
    from tiers
    inner join book
        on
            tiers.usage_date = book.usage_date
            and tiers.gateway_provider is not distinct from book.gateway_provider
            and tiers.gateway_model = book.gateway_model
            and tiers.tier_start_tokens >= book.tier_start_tokens
    union all
    select
        tiers.*,
        own.token_class,
        own.price_id,
        own.usd_per_mtok,
        own.price_source,
        own.valid_from_date,
        1,
        0
    from tiers
    inner join own
        on
            tiers.usage_date = own.usage_date
            and tiers.gateway_provider is not distinct from own.gateway_provider
            and tiers.gateway_model = own.gateway_model
),

ranked as (
    select
        *,
        row_number() over (
            partition by usage_date, gateway_provider, gateway_model, tier_start_tokens, token_class
            order by is_own desc nulls last, price_tier_start_tokens desc nulls last
        ) = 1 as is_used,
        row_number() over (
            partition by usage_date, gateway_provider, gateway_model, tier_start_tokens, token_class, is_own
            order by price_tier_start_tokens desc nulls last
        ) = 1 and is_own = 0 as is_book
    from candidates
)

select *
from ranked
where is_used or is_book
