-- One row per attempt of a Slurm job and report of it. A job reported while it ran is here again when it ended.
with source as (
    select * from {{ source('raw', 'slurm_jobs') }}
),

renamed as (
    select
        -- keys
        _source as source_name,
        _object as object_uri,
        _position as object_position,
        cluster as cluster_name,
        job_id,
        job_label,

        -- dimensions
        job_name,
        account as account_name,
        user_name,
        partition_name,
        qos as qos_name,
        state as job_state,
        exit_code,
        reason as wait_reason,
        reservation as reservation_name,
        node_list,
        comment as job_comment,
        wckey,
        gpu_model as scheduler_gpu_model,

        -- quantities
        gpu_count,
        requested_gpu_count,
        node_count,
        cpu_count,
        restart_count,
        elapsed_seconds,
        suspended_seconds,
        time_limit_minutes,
        energy_joules,

        -- time
        submitted_at,
        eligible_at,
        started_at,
        ended_at,
        reported_at,
        usage_date as submitted_date
    from source
)

select * from renamed
