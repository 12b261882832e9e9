-- One row per cluster that SkyPilot launched: the GPU-seconds it was up, and what they cost at the catalogue's price.
-- Jobs ran on it: never add it to `int_jobs__runs`.
select
    scheduler_name,
    job_id as cluster_id,
    job_name as cluster_name,
    user_name,
    account_name,
    cloud_name,
    region_id,
    zone_id,
    scheduler_gpu_model,
    gpu_count,
    node_count,
    started_at,
    ended_at,
    ended_at is null as is_up,
    run_seconds as up_seconds,
    run_seconds * gpu_count as held_gpu_seconds,
    catalogue_cost_usd
from {{ ref('int_jobs__newest_reports') }}
where record_kind = 'cluster'
