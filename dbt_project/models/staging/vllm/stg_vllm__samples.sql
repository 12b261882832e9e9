-- One row per sample of one series of vLLM: an engine, a metric and an instant.
with source as (
    select * from {{ source('vllm', 'vllm_samples') }}
),

renamed as (
    select
        -- keys
        cluster as cluster_name,
        namespace,
        pod,
        instance as instance_name,
        engine as engine_index,
        model_name as served_model_name,
        finished_reason,

        -- quantities: counters start from 0 with the process
        metric as metric_name,
        value as metric_value,

        -- time
        sampled_at,
        usage_date,

        -- audit
        _source as source_name,
        _object as object_uri,
        _position as object_position
    from source
)

select * from renamed
