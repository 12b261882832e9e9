-- One row per job of SkyPilot or Ray, or cluster that SkyPilot launched, and report of it.
with source as (
    select * from {{ source('job_reports', 'job_reports') }}
),

renamed as (
    select
        -- keys
        _source as source_name,
        _object as object_uri,
        _position as object_position,
        scheduler as scheduler_kind,
        record as record_kind,
        coalesce(cluster, _source) as scheduler_name,
        job_id,

        -- dimensions
        job_name,
        account as account_name,
        user_name,
        queue as queue_name,
        state as job_state,
        reason as state_reason,
        cloud as cloud_name,
        region as region_id,
        zone as zone_id,
        resources as resources_text,
        gpu_model as scheduler_gpu_model,
        labels as job_labels,

        -- quantities
        gpu_count,
        node_count,
        recovery_count,
        run_seconds,

        -- money
        {{ usd('catalogue_cost_usd') }} as catalogue_cost_usd,

        -- time
        submitted_at,
        started_at,
        ended_at,
        reported_at
    from source
)

select * from renamed
