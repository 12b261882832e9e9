-- One row per request line of a LiteLLM log. A call logged twice is here twice.
with source as (
    select * from {{ source('litellm', 'litellm_requests') }}
),

-- Of prompt, completion and total, two give the third.
totalled as (
    select
        *,
        coalesce(prompt_tokens, total_tokens - completion_tokens) as input_tokens,
        coalesce(completion_tokens, total_tokens - prompt_tokens) as output_tokens
    from source
),

-- LiteLLM's prompt total holds cache reads and writes, audio and images, its completion total holds reasoning. A total
-- that is there with a detail that is not means that the detail is none; no total means that nothing is known.
counted as (
    select
        *,
        coalesce(usage_status = 'missing', true) or input_tokens is null or output_tokens is null as is_unmetered,
        input_tokens - coalesce(cache_read_tokens, 0) - coalesce(cache_write_5m_tokens, 0)
        - coalesce(cache_write_1h_tokens, 0) - coalesce(cache_write_other_tokens, 0)
        - coalesce(audio_input_tokens, 0) - coalesce(image_input_tokens, 0) as rest_of_input_tokens,
        output_tokens - coalesce(reasoning_tokens, 0) - coalesce(audio_output_tokens, 0)
        - coalesce(image_output_tokens, 0) as rest_of_output_tokens
    from totalled
),

renamed as (
    select
        -- keys
        request_id,
        litellm_call_id,
        trace_id,
        session_id,
        call_type,
        status as request_status,
        provider as gateway_provider,
        model as gateway_model,
        model_group,
        model_deployment_id,
        api_base,
        api_key_hash,
        api_key_alias,
        team_id as litellm_team_id,
        team_alias as litellm_team_alias,
        user_id,
        end_user_id,
        agent_id,
        request_tags,
        service_tier,
        error_class,
        usage_status,
        is_cache_hit,
        is_stream,
        is_unmetered,

        -- quantities: disjoint token classes, null where the usage is missing
        case when not is_unmetered then greatest(rest_of_input_tokens, 0) end as uncached_input_tokens,
        case when not is_unmetered then coalesce(cache_read_tokens, 0) end as cache_read_tokens,
        case when not is_unmetered then coalesce(cache_write_5m_tokens, 0) end as cache_write_5m_tokens,
        case when not is_unmetered then coalesce(cache_write_1h_tokens, 0) end as cache_write_1h_tokens,
        case when not is_unmetered then coalesce(cache_write_other_tokens, 0) end as cache_write_other_tokens,
        case when not is_unmetered then greatest(rest_of_output_tokens, 0) end as output_visible_tokens,
        case when not is_unmetered then coalesce(reasoning_tokens, 0) end as output_reasoning_tokens,
        case when not is_unmetered then coalesce(audio_input_tokens, 0) end as audio_input_tokens,
        case when not is_unmetered then coalesce(audio_output_tokens, 0) end as audio_output_tokens,
        case when not is_unmetered then coalesce(image_input_tokens, 0) end as image_input_tokens,
        case when not is_unmetered then coalesce(image_output_tokens, 0) end as image_output_tokens,
        input_tokens as reported_input_tokens,
        output_tokens as reported_output_tokens,
        case when not is_unmetered then rest_of_input_tokens < 0 or rest_of_output_tokens < 0 else false end
            as has_overlapping_classes,
        web_search_requests as web_search_request_count,

        -- money: from the gateway's own price map; 0 can mean that it had no price
        gateway_cost_usd,

        -- time
        started_at,
        ended_at,
        first_token_at,
        usage_date,

        -- audit
        log_format,
        _source as source_name,
        _object as object_uri,
        _position as object_position
    from counted
)

select * from renamed
