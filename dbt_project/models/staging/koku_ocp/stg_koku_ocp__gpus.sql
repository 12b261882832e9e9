-- One row per pod, GPU or MIG instance and hour, as a GPU usage report tells it.
with source as (
    select * from {{ source('koku_ocp', 'koku_ocp_rows') }}
    where report = 'gpu_usage'
),

renamed as (
    select
        -- keys
        cluster as cluster_name,
        node as node_name,
        namespace,
        pod,
        gpu_uuid,
        mig_instance_id,

        -- dimensions
        gpu_model_name,
        gpu_vendor_name,
        mig_profile,
        mig_strategy,

        -- quantities
        gpu_memory_capacity_mib / 1024 as gpu_memory_gib,
        gpu_pod_uptime_seconds as held_seconds,

        -- time
        interval_start_at as usage_start_at,
        interval_end_at as usage_end_at,
        usage_date,

        -- audit
        _source as source_name,
        _object as object_uri,
        _position as object_position
    from source
)

select * from renamed
