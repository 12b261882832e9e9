-- One row per sample of one series of kube-state-metrics that says something: flags that are not set are left out.
with source as (
    select * from {{ source('kube', 'kube_state_samples') }}
),

renamed as (
    select
        -- keys
        cluster as cluster_name,
        namespace,
        pod,
        pod_uid as pod_id,
        container,
        node as node_name,

        -- dimensions
        resource as resource_name,
        unit as resource_unit,
        phase as pod_phase,
        reason,
        owner_kind,
        owner as owner_name,
        labels,

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
    where value is null or value <> 0 or (phase is null and reason is null)
)

select * from renamed
