-- One row per hour, provider, model, service tier and consumer: the sums that everything downstream reads.
{{ config(rebuild_touched('usage_date')) }}
{%- set worked = 'not is_cache_hit and input_tokens + output_tokens > 0' %}

select
    usage_hour_at,
    usage_date,
    provider_name,
    model_id,
    service_tier,
    team_id,
    cost_center_id,
    environment,
    app_id,
    consumer_id,
    count(*) as request_count,
    count(*) filter (where is_failed) as failed_request_count,
    count(*) filter (where is_cache_hit) as cache_hit_request_count,
    count(*) filter (where unpriced_reason = 'missing_usage') as missing_usage_request_count,
    count(*) filter (where unpriced_reason = 'no_price') as no_price_request_count,
    count(*) filter (where unpriced_reason = 'failed') as unbilled_failure_request_count,
    count(*) filter (where unpriced_reason is null) as priced_request_count,
    count(*) filter (where usage_status = 'reported') as reported_usage_request_count,
    count(*) filter (where usage_status = 'reported_zero') as zero_usage_request_count,
    count(*) filter (where has_overlapping_classes) as overlapping_classes_request_count,
    count(*) filter (where input_tokens + output_tokens > 0) as metered_request_count,
    {% for token_class in [
        'uncached_input', 'cache_read', 'cache_write_5m', 'cache_write_1h', 'cache_write_other',
        'output_visible', 'output_reasoning', 'audio_input', 'audio_output', 'image_input', 'image_output'
    ] -%}
    cast(coalesce(sum({{ token_class }}_tokens), 0) as bigint) as {{ token_class }}_tokens,
    {% endfor -%}
    cast(coalesce(sum(input_tokens), 0) as bigint) as input_tokens,
    cast(coalesce(sum(output_tokens), 0) as bigint) as output_tokens,
    cast(coalesce(sum(input_tokens) filter (where unpriced_reason = 'no_price'), 0) as bigint)
        as unpriced_input_tokens,
    cast(coalesce(sum(output_tokens) filter (where unpriced_reason = 'no_price'), 0) as bigint)
        as unpriced_output_tokens,
    cast(coalesce(sum(input_tokens + output_tokens) filter (where is_cache_hit), 0) as bigint) as cache_hit_tokens,
    cast(coalesce(sum(prefill_milliseconds) filter (where {{ worked }}), 0) as bigint) as prefill_milliseconds,
    cast(coalesce(sum(decode_milliseconds) filter (where {{ worked }}), 0) as bigint) as decode_milliseconds,
    count(*) filter (where {{ worked }} and prefill_milliseconds is null) as untimed_request_count,
    cast(coalesce(sum(input_tokens) filter (where {{ worked }}), 0) as bigint) as worked_input_tokens,
    cast(coalesce(sum(output_tokens) filter (where {{ worked }}), 0) as bigint) as worked_output_tokens,
    max(owner_rule_id) as owner_rule_id,
    {{ array_sorted_distinct_text('price_set_id') }} as tier_set_ids,
    {{ usd_sum('calculated_cost_usd') }} as calculated_cost_usd,
    {{ usd_sum('list_cost_usd') }} as list_cost_usd,
    {{ usd_sum('plain_cost_usd') }} as plain_cost_usd,
    {{ usd_sum('cached_at_input_cost_usd') }} as cached_at_input_cost_usd,
    {{ usd_sum('case when is_failed then calculated_cost_usd end') }} as failed_cost_usd,
    {{ usd_sum('case when is_repeated then calculated_cost_usd end') }} as repeated_cost_usd,
    {{ usd_sum('gateway_cost_usd') }} as gateway_cost_usd
from {{ ref('int_tokens__requests') }}
where usage_date in (select usage_date from {{ source('build', 'touched_days') }})
group by
    usage_hour_at, usage_date, provider_name, model_id, service_tier,
    team_id, cost_center_id, environment, app_id, consumer_id
