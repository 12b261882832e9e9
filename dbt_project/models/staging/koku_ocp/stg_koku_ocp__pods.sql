-- One row per pod, node and hour, as a pod usage report tells it.
with source as (
    select * from {{ source('koku_ocp', 'koku_ocp_rows') }}
    where report = 'pod_usage'
),

renamed as (
    select
        -- keys
        cluster as cluster_name,
        node as node_name,
        resource_id,
        namespace,
        pod,
        labels,

        -- quantities
        pod_usage_cpu_core_seconds as used_cpu_core_seconds,
        pod_request_cpu_core_seconds as requested_cpu_core_seconds,
        pod_limit_cpu_core_seconds as limit_cpu_core_seconds,
        pod_usage_memory_byte_seconds as used_memory_byte_seconds,
        pod_request_memory_byte_seconds as requested_memory_byte_seconds,
        pod_limit_memory_byte_seconds as limit_memory_byte_seconds,
        node_capacity_cpu_cores as node_cpu_core_count,
        node_capacity_memory_bytes as node_memory_bytes,

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
