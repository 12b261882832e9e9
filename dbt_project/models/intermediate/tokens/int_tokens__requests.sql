-- One row per gateway call: who made it, its tokens in disjoint classes and its cost at the dated price book. Logs
-- arrive at least once and in two formats: of the lines of a call, the one with reported usage wins, then the last.
{{ config(rebuild_touched('usage_date')) }}

{%- set token_classes = [
    'uncached_input_tokens', 'cache_read_tokens', 'cache_write_5m_tokens', 'cache_write_1h_tokens',
    'cache_write_other_tokens', 'output_visible_tokens', 'output_reasoning_tokens', 'audio_input_tokens',
    'audio_output_tokens', 'image_input_tokens', 'image_output_tokens'
] %}

{%- set is_timed = 'first_token_at >= started_at and first_token_at < ended_at' %}

with lines as (
    select
        *,
        {{ request_subject() }} as subject_key,
        {{ model_id() }} as model_id,
        coalesce(
            nullif(litellm_call_id, ''),
            nullif(request_id, ''),
            concat_ws('#', object_uri, cast(object_position as string))
        ) as call_id
    from {{ ref('stg_litellm__requests') }}
    where usage_date in (select usage_date from {{ source('build', 'touched_days') }})
),

calls as (
    select
        *,
        uncached_input_tokens + cache_read_tokens + cache_write_5m_tokens + cache_write_1h_tokens
        + cache_write_other_tokens + audio_input_tokens + image_input_tokens as input_tokens,
        output_visible_tokens + output_reasoning_tokens + audio_output_tokens + image_output_tokens as output_tokens
    from lines
    qualify row_number() over (
        partition by usage_date, call_id
        order by
            case usage_status when 'reported' then 1 when 'reported_zero' then 2 else 3 end,
            ended_at desc nulls last,
            object_uri,
            object_position
    ) = 1
),

rated as (
    select
        calls.*,
        owners.team_id,
        owners.cost_center_id,
        owners.environment,
        owners.owner_rule_id,
        owners.app_id,
        owners.consumer_id,
        coalesce(providers.provider_name, calls.gateway_provider, 'unknown') as provider_name,
        rates.price_set_id,
        {{ request_cost_nano('calls', 'rates') }} as token_cost_nano_usd,
        {{ request_cost_nano('calls', 'rates', book=true) }} as book_cost_nano_usd,
        {# All tokens as plain input and output: what a count that knows no classes would say. -#}
        {{ token_cost_nano([
            ('calls.input_tokens', 'rates.input_book_nano_usd_per_mtok'),
            ('calls.output_tokens', 'rates.output_book_nano_usd_per_mtok'),
        ]) }} as plain_cost_nano_usd,
        {{ token_cost_nano([(cached_tokens('calls'), 'rates.input_nano_usd_per_mtok')]) }} as cached_cost_nano_usd
    from calls
    inner join {{ ref('int_tokens__request_owners') }} as owners
        on
            calls.usage_date = owners.usage_date
            and calls.subject_key = owners.subject_key
    left join {{ ref('gateway_providers') }} as providers
        on calls.gateway_provider = providers.gateway_provider
    left join {{ ref('int_tokens__rates') }} as rates
        on
            calls.usage_date = rates.usage_date
            and calls.gateway_provider is not distinct from rates.gateway_provider
            and calls.gateway_model = rates.gateway_model
            and (calls.input_tokens > rates.tier_start_tokens or rates.tier_start_tokens = 0)
            and (rates.next_tier_start_tokens is null or calls.input_tokens <= rates.next_tier_start_tokens)
),

reasoned as (
    select
        *,
        case
            when coalesce(is_cache_hit, false) then null
            when request_status = 'failure' and coalesce(input_tokens + output_tokens, 0) = 0 then 'failed'
            when is_unmetered then 'missing_usage'
            when token_cost_nano_usd is null then 'no_price'
        end as unpriced_reason
    from rated
)

select
    usage_date,
    cast(date_trunc('hour', coalesce(started_at, cast(usage_date as timestamp))) as timestamp) as usage_hour_at,
    call_id,
    provider_name,
    model_id,
    case
        when lower(coalesce(service_tier, '')) in ('', 'default', 'auto', 'standard') then 'standard'
        else lower(service_tier)
    end as service_tier,
    team_id,
    cost_center_id,
    environment,
    app_id,
    consumer_id,
    owner_rule_id,
    coalesce(request_status = 'failure', false) as is_failed,
    coalesce(is_cache_hit, false) as is_cache_hit,
    is_unmetered,
    has_overlapping_classes,
    {% for token_class in token_classes -%}
    {{ token_class }},
    {% endfor -%}
    input_tokens,
    output_tokens,
    unpriced_reason,
    case
        when is_cache_hit then 'gateway_cache'
        when unpriced_reason in ('failed', 'missing_usage') then unpriced_reason
        when input_tokens + output_tokens = 0 then 'reported_zero'
        else 'reported'
    end as usage_status,
    case when unpriced_reason is null then price_set_id end as price_set_id,
    -- What the gateway answered from its own cache cost nothing. A class without a list price has its own price.
    {% for cost, nano in [
        ('calculated', 'token_cost_nano_usd'),
        ('list', 'coalesce(book_cost_nano_usd, token_cost_nano_usd)'),
        ('plain', 'coalesce(plain_cost_nano_usd, book_cost_nano_usd, token_cost_nano_usd)'),
        ('cached_at_input', 'coalesce(cached_cost_nano_usd, 0)')
    ] -%}
    case
        when is_cache_hit then {{ from_nano('0') }}
        when unpriced_reason is null then {{ from_nano(nano) }}
    end as {{ cost }}_cost_usd,
    {% endfor -%}
    -- The same call under another id: a second answer to the same second's same question.
    started_at is not null and coalesce(input_tokens + output_tokens, 0) > 0 and row_number() over (
        partition by
            usage_date, subject_key, gateway_provider, gateway_model, started_at, ended_at, input_tokens, output_tokens
        order by call_id nulls last
    ) > 1 as is_repeated,
    -- An answer that was not streamed names its end as its first token: its prefill is unknown.
    case when {{ is_timed }} then {{ milliseconds_between('started_at', 'first_token_at') }} end
        as prefill_milliseconds,
    case when {{ is_timed }} then {{ milliseconds_between('first_token_at', 'ended_at') }} end as decode_milliseconds,
    gateway_cost_usd
from reasoned
