-- One row per day, gateway model and tier of input tokens that has a price: its rate for each token class.
{{ config(rebuild_touched('usage_date')) }}

select
    usage_date,
    gateway_provider,
    gateway_model,
    tier_start_tokens,
    lead(tier_start_tokens) over (
        partition by usage_date, gateway_provider, gateway_model
        order by tier_start_tokens nulls last
    ) as next_tier_start_tokens,
    -- A price may be corrected and keep its id.
    md5({{ array_sorted_distinct_text(
        "case when is_used then concat(price_id, '=', cast(usd_per_mtok as string)) end"
    ) }}) as price_set_id,
    {% for token_class in [
        'input', 'cache_read', 'cache_write_5m', 'cache_write_1h', 'output', 'input_audio', 'output_audio'
    ] -%}
    {% for flag, kind in [('is_used', ''), ('is_book', '_book')] -%}
    cast(max(
        case when {{ flag }} and token_class = '{{ token_class }}' then {{ nano_usd('usd_per_mtok') }} end
    ) as bigint) as {{ token_class }}{{ kind }}_nano_usd_per_mtok,
    {% endfor -%}
    {% endfor -%}
    count(distinct case when is_used then price_id end) as price_count
from {{ ref('int_tokens__model_prices') }}
where usage_date in (select usage_date from {{ source('build', 'touched_days') }})
group by usage_date, gateway_provider, gateway_model, tier_start_tokens
