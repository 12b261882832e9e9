-- One row per workload of Kueue and time that it was seen.
with source as (
    select * from {{ source('kube', 'kube_workloads') }}
),

renamed as (
    select
        -- keys
        cluster as cluster_name,
        workload_uid as workload_id,
        namespace,
        workload as workload_name,

        -- dimensions
        event_type,
        queue as queue_name,
        cluster_queue as cluster_queue_name,
        priority_class as priority_class_name,
        owner_kind,
        owner as owner_name,
        owner_uid as owner_id,
        is_active,
        gpu_requests,
        flavors,
        labels,
        conditions,
        pending_reason,
        evicted_reason,
        finished_reason,

        -- quantities
        pod_count,
        min_pod_count,
        gpu_count as requested_gpu_count,
        mig_count as requested_mig_count,
        requeue_count,

        -- time
        observed_at,
        created_at,
        quota_reserved_at,
        admitted_at,
        pods_ready_at,
        pods_unready_at,
        evicted_at,
        preempted_at,
        finished_at,
        deleted_at,
        usage_date,

        -- audit
        _source as source_name,
        _object as object_uri,
        _position as object_position
    from source
)

select * from renamed
