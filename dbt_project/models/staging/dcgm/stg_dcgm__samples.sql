-- One row per sample of one DCGM metric series: a GPU or MIG instance, its holder, a metric and an instant.
with source as (
    select * from {{ source('dcgm', 'dcgm_samples') }}
),

renamed as (
    select
        -- keys
        gpu_uuid,
        gpu_index,
        device as device_name,
        model_name as gpu_model_name,
        hostname,
        cluster as cluster_name,
        mig_profile,
        mig_instance_id,
        namespace,
        pod,
        container,

        -- quantities: the unit depends on the metric
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
