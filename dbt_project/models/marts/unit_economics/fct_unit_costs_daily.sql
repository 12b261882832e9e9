-- One row per UTC day, team, app, provider, model and service tier of the gateway's traffic.
-- Costs are tokens at the dated list price (own prices win), not the invoice; what has no price is null, never 0.
{{ config(rebuild_touched('usage_date')) }}

with request_hours as (
    select *
    from {{ ref('int_tokens__request_hours') }}
    where usage_date in (select usage_date from {{ source('build', 'touched_days') }})
),

unit_days as (
    select
        usage_date,
        team_id,
        app_id,
        provider_name,
        model_id,
        service_tier,
        sum(request_count) as request_count,
        sum(failed_request_count) as failed_request_count,
        {{ usage_statuses('sum($_request_count) as $_request_count') }},
        sum(request_count - priced_request_count) as unpriced_request_count,
        sum(priced_request_count) as priced_request_count,
        sum(no_price_request_count) as no_price_request_count,
        sum(uncached_input_tokens) as uncached_input_tokens,
        sum(cache_read_tokens) as cache_read_tokens,
        sum(cache_write_5m_tokens) as cache_write_5m_tokens,
        sum(cache_write_1h_tokens) as cache_write_1h_tokens,
        sum(cache_write_other_tokens) as cache_write_other_tokens,
        sum(output_visible_tokens) as output_visible_tokens,
        sum(output_reasoning_tokens) as output_reasoning_tokens,
        sum(audio_input_tokens + audio_output_tokens) as audio_tokens,
        sum(image_input_tokens + image_output_tokens) as image_tokens,
        sum(input_tokens + output_tokens) as total_tokens,
        sum(unpriced_input_tokens) as unpriced_input_tokens,
        sum(unpriced_output_tokens) as unpriced_output_tokens,
        sum(unpriced_input_tokens + unpriced_output_tokens) as unpriced_tokens,
        sum(input_tokens + output_tokens - unpriced_input_tokens - unpriced_output_tokens) as priced_tokens,
        {{ usd_sum('calculated_cost_usd') }} as calculated_cost_usd,
        {{ usd_sum('gateway_cost_usd') }} as gateway_cost_usd
    from request_hours
    group by usage_date, team_id, app_id, provider_name, model_id, service_tier
)

select
    unit_days.usage_date,
    unit_days.team_id,
    unit_days.app_id,
    unit_days.provider_name,
    unit_days.model_id,
    unit_days.service_tier,
    {% for count in [
        'request_count', 'failed_request_count', 'reported_usage_request_count', 'zero_usage_request_count',
        'missing_usage_request_count', 'unbilled_failure_request_count', 'cache_hit_request_count',
        'unpriced_request_count',
        'uncached_input_tokens', 'cache_read_tokens', 'cache_write_5m_tokens', 'cache_write_1h_tokens',
        'cache_write_other_tokens', 'output_visible_tokens', 'output_reasoning_tokens', 'audio_tokens',
        'image_tokens', 'total_tokens', 'unpriced_tokens'
    ] -%}
    cast(unit_days.{{ count }} as bigint) as {{ count }},
    {% endfor -%}
    case
        when unit_days.no_price_request_count > 0 then 'no_price'
        when unit_days.missing_usage_request_count > 0 then 'missing_usage'
        when unit_days.unpriced_request_count > 0 then 'failed'
    end as unpriced_reason,
    unit_days.calculated_cost_usd,
    unit_days.gateway_cost_usd,
    cast({{ from_nano(
        token_cost_nano([
            ('unit_days.unpriced_input_tokens', 'exposure_rates.input_nano_usd_per_mtok'),
            ('unit_days.unpriced_output_tokens', 'exposure_rates.output_nano_usd_per_mtok'),
        ]) ~ ' + case when unit_days.missing_usage_request_count = 0 then 0 else'
        ~ ' unit_days.missing_usage_request_count * exposure_rates.exposure_nano_usd_per_unmetered_request end'
    ) }} as decimal(38, 9)) as unpriced_exposure_usd,
    {{ usd_per_unit('unit_days.calculated_cost_usd', 'unit_days.priced_request_count') }} as usd_per_request,
    {{ usd_per_unit('unit_days.calculated_cost_usd', 'unit_days.priced_tokens', 1000000) }} as usd_per_mtok
from unit_days
inner join {{ ref('int_tokens__exposure_rates') }} as exposure_rates
    on
        unit_days.usage_date = exposure_rates.usage_date
        and unit_days.provider_name = exposure_rates.provider_name
        and unit_days.model_id = exposure_rates.model_id
