-- One row per result of a provider's usage or cost report. A day that two objects tell of is here twice.
with source as (
    select * from {{ source('provider_costs', 'provider_results') }}
),

renamed as (
    select
        -- keys
        provider as gateway_provider,
        model as gateway_model,
        report,
        service,
        project_id,
        api_key_id,
        user_id,

        -- dimensions
        service_tier,
        coalesce(is_batch, false) as is_batch,
        context_window,
        inference_geo,
        line_item,
        cost_type,
        token_type,

        -- quantities: disjoint token classes
        uncached_input_tokens,
        cache_read_tokens,
        cache_write_5m_tokens,
        cache_write_1h_tokens,
        cache_write_other_tokens,
        audio_input_tokens,
        image_input_tokens,
        output_tokens as output_visible_tokens,
        case when report = 'usage' then 0 end as output_reasoning_tokens,
        audio_output_tokens,
        image_output_tokens,
        request_count,
        web_search_request_count,
        quantity as reported_quantity,
        quantity_unit as reported_unit,

        -- money, in currency_code
        reported_cost as reported_cost_local,
        currency as currency_code,

        -- time
        bucket_start_at,
        bucket_end_at,
        usage_date,

        -- audit
        _source as source_name,
        _object as object_uri,
        _position as object_position
    from source
)

select * from renamed
