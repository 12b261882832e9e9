-- One row per catalogue, gateway model, class and tier of tokens whose price in the newest catalogue differs from the
-- price book's of that day: both prices, and what the calls of the last thirty days would cost more by the catalogue's.
-- A price that either side lacks is no disagreement, nor is a catalogue's 0, which mostly means unknown.
with
{%- for side, prices in {
    'stated': 'stg_llm_price_catalogue__prices', 'booked': 'stg_llm_prices__prices'
}.items() %}
{{ side }} as (
    select
        *,
        {{ model_id() }} as model_id
    from {{ ref(prices) }}
),

{{ side }}_by_provider as (
    select
        {{ side }}.*,
        coalesce(providers.provider_name, {{ side }}.gateway_provider) as provider_name
    from {{ side }}
    left join {{ ref('gateway_providers') }} as providers
        on {{ side }}.gateway_provider = providers.gateway_provider
),
{% endfor %}
newest as (
    select * from stated_by_provider
    where usd_per_mtok > 0
    qualify rank() over (
        partition by catalogue_name, gateway_provider
        order by catalogued_at desc nulls last
    ) = 1
),

compared as (
    select
        catalogue.catalogue_name,
        book.gateway_provider,
        book.gateway_model,
        book.provider_name,
        book.model_id,
        book.token_class,
        book.tier_start_tokens,
        book.price_book,
        book.usd_per_mtok as book_usd_per_mtok,
        catalogue.usd_per_mtok as catalogue_usd_per_mtok,
        catalogue.catalogue_date
    from booked_by_provider as book
    inner join newest as catalogue
        on
            book.provider_name = catalogue.provider_name
            and book.token_class = catalogue.token_class
            and book.tier_start_tokens = catalogue.tier_start_tokens
            and {{ is_valid_on('book', 'catalogue.catalogue_date') }}
            -- genai-prices names a model by its id, the others as a gateway does.
            and catalogue.model_id = case
                when catalogue.catalogue_name = 'genai_prices' then book.price_model_id else book.model_id
            end
    -- One provider's model may stand under several of its doors: the gateway's own counts.
    qualify row_number() over (
        partition by
            catalogue.catalogue_name, book.gateway_provider, book.gateway_model, book.token_class,
            book.tier_start_tokens
        order by
            catalogue.gateway_provider = book.gateway_provider desc nulls last,
            catalogue.gateway_provider,
            catalogue.gateway_model,
            catalogue.object_uri,
            catalogue.object_position
    ) = 1
),

last_day as (
    select max(usage_date) as usage_date from {{ ref('int_tokens__request_hours') }}
),

used as (
    select
        hours.provider_name,
        hours.model_id,
        sum(hours.uncached_input_tokens) as input_tokens,
        sum(hours.output_visible_tokens + hours.output_reasoning_tokens) as output_tokens,
        sum(hours.cache_read_tokens) as cache_read_tokens,
        sum(hours.cache_write_5m_tokens + hours.cache_write_other_tokens) as cache_write_5m_tokens,
        sum(hours.cache_write_1h_tokens) as cache_write_1h_tokens,
        sum(hours.audio_input_tokens) as input_audio_tokens,
        sum(hours.audio_output_tokens) as output_audio_tokens
    from {{ ref('int_tokens__request_hours') }} as hours
    cross join last_day
    where hours.usage_date > last_day.usage_date - 30
    group by hours.provider_name, hours.model_id
),

weighed as (
    select
        compared.*,
        -- Which calls reached a tier is not known here: all are taken to have stayed in the lowest.
        cast(case
            when compared.tier_start_tokens > 0 then 0
            {%- for token_class in [
                'input', 'output', 'cache_read', 'cache_write_5m', 'cache_write_1h', 'input_audio', 'output_audio'
            ] %}
            when compared.token_class = '{{ token_class }}' then coalesce(used.{{ token_class }}_tokens, 0)
            {%- endfor %}
        end as bigint) as used_tokens
    from compared
    left join used
        on
            compared.provider_name = used.provider_name
            and compared.model_id = used.model_id
    where compared.book_usd_per_mtok != compared.catalogue_usd_per_mtok
)

select
    weighed.catalogue_name,
    weighed.catalogue_date,
    weighed.gateway_provider,
    weighed.gateway_model,
    weighed.token_class,
    weighed.tier_start_tokens,
    weighed.price_book,
    weighed.book_usd_per_mtok,
    weighed.catalogue_usd_per_mtok,
    weighed.used_tokens,
    {{ from_nano(token_cost_nano([
        ('weighed.used_tokens', nano_usd('weighed.catalogue_usd_per_mtok - weighed.book_usd_per_mtok')),
    ])) }} as exposure_usd,
    exists(
        select 1 from {{ ref('stg_config__price_overrides') }} as overrides
        where
            weighed.gateway_provider is not distinct from overrides.provider
            and overrides.model in (weighed.gateway_model, weighed.model_id)
            and weighed.token_class = overrides.token_class
            and {{ is_valid_on('overrides', 'weighed.catalogue_date') }}
    ) as has_own_price
from weighed
