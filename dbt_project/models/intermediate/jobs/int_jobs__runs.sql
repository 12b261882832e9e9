-- One row per run of a batch job: one attempt at Slurm, a job of SkyPilot or of Ray, by its newest report. What it
-- waited and held; a job that still runs has held until its report.
with reports as (
    select
        *,
        coalesce(cluster_name, source_name) as scheduler_name
    from {{ ref('stg_slurm__jobs') }}
),

newest as (
    select * from reports
    -- A report that knows the end says more than any that does not.
    qualify row_number() over (
        partition by scheduler_name, job_id, submitted_at
        order by ended_at is null nulls last, reported_at desc nulls last, object_uri, object_position
    ) = 1
),

timed as (
    select
        *,
        coalesce(eligible_at, submitted_at) as waited_from_at,
        -- Suspended time holds no GPU; Slurm's elapsed time is without it already.
        case
            when started_at is null then 0
            else
                coalesce(
                    elapsed_seconds,
                    {{ integer_div(milliseconds_between('started_at', 'coalesce(ended_at, reported_at)'), '1000') }}
                    - coalesce(suspended_seconds, 0)
                )
        end as held_seconds
    from newest
)

select
    'slurm' as scheduler_kind,
    scheduler_name,
    job_id,
    job_label,
    job_name,
    account_name,
    user_name,
    partition_name as queue_name,
    job_state,
    node_list,
    scheduler_gpu_model,
    requested_gpu_count,
    cast(gpu_count as double) as gpu_count,
    submitted_at,
    waited_from_at,
    started_at,
    ended_at,
    ended_at is null as is_unfinished,
    {{ integer_div(milliseconds_between('waited_from_at', 'started_at'), '1000') }} as waited_seconds,
    cast(held_seconds as double) as held_seconds,
    cast(held_seconds as double) * gpu_count as held_gpu_seconds,
    cast(0 as double) as recovering_seconds
from timed
union all
select
    scheduler_kind,
    scheduler_name,
    job_id,
    cast(null as string),
    job_name,
    account_name,
    user_name,
    queue_name,
    job_state,
    cast(null as string),
    scheduler_gpu_model,
    cast(null as bigint),
    gpu_count,
    submitted_at,
    waited_from_at,
    started_at,
    ended_at,
    is_unfinished,
    waited_seconds,
    held_seconds,
    held_seconds * gpu_count,
    recovering_seconds
from {{ ref('int_jobs__reported_runs') }}
