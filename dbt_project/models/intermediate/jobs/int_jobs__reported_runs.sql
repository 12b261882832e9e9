-- One row per job of SkyPilot or Ray, by its newest report: what it waited, what it ran, and what it lost to
-- recoveries, when its GPUs were gone.
with timed as (
    select
        *,
        case
            when started_at is null then 0
            else {{ milliseconds_between('started_at', 'coalesce(ended_at, reported_at)') }} / 1000.0
        end as wall_seconds
    from {{ ref('int_jobs__newest_reports') }}
    where record_kind = 'job'
)

select
    scheduler_kind,
    scheduler_name,
    job_id,
    job_name,
    account_name,
    user_name,
    queue_name,
    job_state,
    cloud_name,
    region_id,
    scheduler_gpu_model,
    gpu_count,
    recovery_count,
    submitted_at,
    submitted_at as waited_from_at,
    started_at,
    ended_at,
    ended_at is null as is_unfinished,
    {{ integer_div(milliseconds_between('submitted_at', 'started_at'), '1000') }} as waited_seconds,
    cast(case
        when started_at is null then 0
        else least(coalesce(run_seconds, wall_seconds), wall_seconds)
    end as double) as held_seconds,
    cast(case
        when started_at is null or run_seconds is null or recovery_count = 0 then 0
        else greatest(wall_seconds - run_seconds, 0)
    end as double) as recovering_seconds
from timed
