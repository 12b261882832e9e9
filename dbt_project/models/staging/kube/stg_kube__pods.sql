-- One row per pod and time that it was seen, as a list or an event tells it.
with source as (
    select * from {{ source('kube', 'kube_pods') }}
),

renamed as (
    select
        -- keys
        cluster as cluster_name,
        pod_uid as pod_id,
        namespace,
        pod,
        node as node_name,

        -- dimensions
        event_type,
        phase as pod_phase,
        status_reason,
        scheduler as scheduler_name,
        priority_class as priority_class_name,
        owner_kind,
        owner as owner_name,
        owner_uid as owner_id,
        pod_group_system,
        pod_group as pod_group_name,
        queue as queue_name,
        gpu_requests,
        gpu_fraction as gpu_fraction_text,
        resource_claims,
        labels,
        scheduling_gates,
        conditions,
        waiting_reason,
        terminated_reason,
        exit_code,

        -- quantities
        pod_group_size as pod_group_pod_count,
        gpu_count as requested_gpu_count,
        mig_count as requested_mig_count,
        restart_count,

        -- time
        observed_at,
        created_at,
        scheduled_at,
        initialized_at,
        ready_at,
        kubelet_started_at,
        first_container_started_at,
        last_container_finished_at,
        deleted_at,
        usage_date,

        -- audit
        _source as source_name,
        _object as object_uri,
        _position as object_position
    from source
)

select * from renamed
