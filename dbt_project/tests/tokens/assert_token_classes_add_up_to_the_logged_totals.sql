-- Disjoint classes: per day and provider's model the mart's classes, its total and the calls' logged totals are one
-- number.
{{ config(meta={'dagster': {'ref': {'name': 'fct_unit_costs_daily'}}}) }}

with mart as (
    select
        usage_date,
        provider_name,
        model_id,
        sum(total_tokens) as total_tokens,
        sum(
            uncached_input_tokens + cache_read_tokens + cache_write_5m_tokens + cache_write_1h_tokens
            + cache_write_other_tokens + output_visible_tokens + output_reasoning_tokens + audio_tokens + image_tokens
        ) as class_tokens
    from {{ ref('fct_unit_costs_daily') }}
    group by usage_date, provider_name, model_id
),

-- Details that exceed their total are the log's own contradiction: those calls count by their classes.
calls as (
    select
        calls.usage_date,
        calls.provider_name,
        calls.model_id,
        sum(
            case
                when calls.has_overlapping_classes then calls.input_tokens + calls.output_tokens
                else logged.reported_tokens
            end
        ) as logged_tokens
    from {{ ref('int_tokens__requests') }} as calls
    left join (
        select
            usage_date,
            coalesce(
                nullif(litellm_call_id, ''),
                nullif(request_id, ''),
                concat_ws('#', object_uri, cast(object_position as string))
            ) as call_id,
            max(reported_input_tokens + reported_output_tokens) as reported_tokens
        from {{ ref('stg_litellm__requests') }}
        where not is_unmetered
        group by 1, 2
    ) as logged
        on
            calls.usage_date = logged.usage_date
            and calls.call_id = logged.call_id
    group by calls.usage_date, calls.provider_name, calls.model_id
)

select
    mart.*,
    calls.logged_tokens
from mart
full outer join calls
    on
        mart.usage_date = calls.usage_date
        and mart.provider_name = calls.provider_name
        and mart.model_id = calls.model_id
where
    mart.total_tokens is distinct from mart.class_tokens
    or mart.total_tokens is distinct from coalesce(calls.logged_tokens, 0)
