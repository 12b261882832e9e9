-- One row per pod group of Volcano and time that it was seen.
with source as (
    select * from {{ source('kube', 'kube_pod_groups') }}
),

renamed as (
    select
        -- keys
        cluster as cluster_name,
        pod_group_uid as pod_group_id,
        namespace,
        pod_group as pod_group_name,

        -- dimensions
        event_type,
        phase as pod_group_phase,
        queue as queue_name,
        priority_class as priority_class_name,
        owner_kind,
        owner as owner_name,
        owner_uid as owner_id,
        gpu_requests,
        labels,
        conditions,
        unschedulable_reason,

        -- quantities
        min_member as min_pod_count,
        running as running_pod_count,
        succeeded as succeeded_pod_count,
        failed as failed_pod_count,
        gpu_count as min_gpu_count,
        mig_count as min_mig_count,

        -- time
        observed_at,
        created_at,
        unschedulable_at,
        scheduled_at,
        deleted_at,
        usage_date,

        -- audit
        _source as source_name,
        _object as object_uri,
        _position as object_position
    from source
)

select * from renamed
