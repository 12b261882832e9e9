-- One row per day, provider and model: what the gateway's traffic is worth, and what could make it differ from a bill.
{{ config(rebuild_touched('usage_date')) }}

with model_days as (
    select
        usage_date,
        provider_name,
        model_id,
        cast(sum(input_tokens + output_tokens - cache_hit_tokens) as bigint) as provider_tokens,
        cast(sum(unpriced_input_tokens) as bigint) as unpriced_input_tokens,
        cast(sum(unpriced_output_tokens) as bigint) as unpriced_output_tokens,
        cast(sum(missing_usage_request_count) as bigint) as missing_usage_request_count,
        {% for cost in ['plain', 'list', 'calculated', 'cached_at_input', 'failed', 'repeated'] -%}
        coalesce({{ usd_sum(cost ~ '_cost_usd') }}, 0) as {{ cost }}_cost_usd,
        {% endfor -%}
        coalesce({{ usd_sum("case when service_tier != 'standard' then calculated_cost_usd end") }}, 0)
            as other_tier_cost_usd
    from {{ ref('int_tokens__request_hours') }}
    where usage_date in (select usage_date from {{ source('build', 'touched_days') }})
    group by usage_date, provider_name, model_id
)

select
    model_days.usage_date,
    model_days.provider_name,
    model_days.model_id,
    model_days.provider_tokens,
    cast(model_days.unpriced_input_tokens + model_days.unpriced_output_tokens as bigint) as unpriced_tokens,
    {% for cost in ['plain', 'list', 'calculated', 'cached_at_input', 'failed', 'repeated', 'other_tier'] -%}
    model_days.{{ cost }}_cost_usd,
    {% endfor -%}
    coalesce({{ from_nano(
        'model_days.missing_usage_request_count * exposure_rates.exposure_nano_usd_per_unmetered_request'
    ) }}, 0) as missing_usage_exposure_usd,
    coalesce({{ from_nano(token_cost_nano([
        ('model_days.unpriced_input_tokens', 'exposure_rates.input_nano_usd_per_mtok'),
        ('model_days.unpriced_output_tokens', 'exposure_rates.output_nano_usd_per_mtok'),
    ])) }}, 0) as no_price_exposure_usd
from model_days
inner join {{ ref('int_tokens__exposure_rates') }} as exposure_rates
    on
        model_days.usage_date = exposure_rates.usage_date
        and model_days.provider_name = exposure_rates.provider_name
        and model_days.model_id = exposure_rates.model_id
