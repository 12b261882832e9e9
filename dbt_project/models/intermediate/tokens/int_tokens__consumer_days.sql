-- One row per day, provider, model and consumer: the weights that push a provider's bill down to who caused it.
{{ config(rebuild_touched('usage_date')) }}

select
    usage_date,
    provider_name,
    model_id,
    team_id,
    cost_center_id,
    environment,
    app_id,
    consumer_id,
    cast(sum(request_count) as bigint) as request_count,
    {{ usage_statuses('cast(sum($_request_count) as bigint) as $_request_count') }},
    cast(sum(input_tokens + output_tokens) as bigint) as total_tokens,
    {{ usd_sum('calculated_cost_usd') }} as calculated_cost_usd,
    coalesce({{ nano_usd('sum(calculated_cost_usd)') }}, 0) as weight_nano_usd,
    -- What the gateway answered from its own cache caused no bill.
    cast(sum(input_tokens + output_tokens - cache_hit_tokens) as bigint) as weight_tokens,
    sum(missing_usage_request_count + no_price_request_count) > 0 as is_estimate,
    max(owner_rule_id) as owner_rule_id,
    {{ merged_sorted_text('tier_set_ids') }} as tier_set_ids,
    case
        when {{ merged_sorted_text('tier_set_ids') }} like '%,%' then md5({{ merged_sorted_text('tier_set_ids') }})
        else {{ merged_sorted_text('tier_set_ids') }}
    end as price_set_id
from {{ ref('int_tokens__request_hours') }}
where usage_date in (select usage_date from {{ source('build', 'touched_days') }})
group by usage_date, provider_name, model_id, team_id, cost_center_id, environment, app_id, consumer_id
