-- One row per day, provider, project and model: the tokens that the provider says were used, priced like the gateway's.
{{ config(rebuild_touched('usage_date')) }}

{%- set is_other_tier = "(is_batch or lower(coalesce(service_tier, '')) not in ('', 'default', 'auto', 'standard'))" %}

with results as (
    select
        *,
        {{ model_id() }} as model_id,
        uncached_input_tokens + cache_read_tokens + cache_write_5m_tokens + cache_write_1h_tokens
        + cache_write_other_tokens + audio_input_tokens + image_input_tokens + output_visible_tokens
        + audio_output_tokens + image_output_tokens as reported_tokens
    from {{ ref('int_tokens__provider_results') }}
    where
        report = 'usage'
        and usage_date in (select usage_date from {{ source('build', 'touched_days') }})
),

rated as (
    select
        results.*,
        {{ request_cost_nano('results', 'rates') }} as token_cost_nano_usd
    from results
    left join {{ ref('int_tokens__rates') }} as rates
        on
            results.usage_date = rates.usage_date
            and results.gateway_provider = rates.gateway_provider
            and results.gateway_model = rates.gateway_model
            and (results.least_input_tokens > rates.tier_start_tokens or rates.tier_start_tokens = 0)
            and (rates.next_tier_start_tokens is null or results.least_input_tokens <= rates.next_tier_start_tokens)
)

select
    usage_date,
    provider_name,
    coalesce(project_id, '') as project_id,
    model_id,
    cast(sum(reported_tokens) as bigint) as reported_tokens,
    cast(sum(case when token_cost_nano_usd is null then reported_tokens else 0 end) as bigint) as unpriced_tokens,
    coalesce({{ usd_sum(from_nano('token_cost_nano_usd')) }}, 0) as priced_cost_usd,
    -- Sold at other prices than the book's.
    coalesce({{ usd_sum('case when ' ~ is_other_tier ~ ' then ' ~ from_nano('token_cost_nano_usd') ~ ' end') }}, 0)
        as other_tier_cost_usd
from rated
group by usage_date, provider_name, coalesce(project_id, ''), model_id
