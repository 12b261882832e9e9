-- One row per GPU or MIG instance, instant and holder ('' for none): the metrics that states and energy need.
-- Containers of a pod and replicas of a Prometheus collapse; of two values for one series and instant the greater
-- stays.
{{ config(rebuild_touched('usage_date')) }}

select
    usage_date,
    gpu_uuid,
    coalesce(mig_instance_id, '') as mig_instance_id,
    sampled_at,
    coalesce(namespace, '') as namespace,
    coalesce(pod, '') as pod,
    max(mig_profile) as mig_profile,
    max(hostname) as hostname,
    max(cluster_name) as cluster_name,
    max(gpu_model_name) as gpu_model_name,
    max(case when metric_name = 'DCGM_FI_PROF_SM_ACTIVE' then metric_value end) as sm_active_share,
    max(case when metric_name = 'DCGM_FI_PROF_GR_ENGINE_ACTIVE' then metric_value end) as gr_engine_active_share,
    -- Not measured for MIG instances, where some exporters write 0.
    max(case when metric_name = 'DCGM_FI_DEV_GPU_UTIL' and mig_instance_id is null then metric_value end) / 100
        as gpu_util_share,
    -- Of a MIG instance, the instance's own.
    cast(round(coalesce(
        max(case when metric_name = 'DCGM_FI_DEV_FB_TOTAL' then metric_value end),
        max(case when metric_name = 'DCGM_FI_DEV_FB_USED' then metric_value end)
        + max(case when metric_name = 'DCGM_FI_DEV_FB_FREE' then metric_value end)
        + coalesce(max(case when metric_name = 'DCGM_FI_DEV_FB_RESERVED' then metric_value end), 0)
    )) as bigint) as memory_mib,
    max(case when metric_name = 'DCGM_FI_DEV_POWER_USAGE' then metric_value end) as power_watts,
    max(case when metric_name = 'DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION' then metric_value end) as energy_millijoules,
    max(case
        when metric_name in (
            'DCGM_FI_PROF_SM_ACTIVE', 'DCGM_FI_PROF_GR_ENGINE_ACTIVE', 'DCGM_FI_DEV_GPU_UTIL'
        ) then 1
        else 0
    end) as activity_row_flag
from {{ ref('stg_dcgm__samples') }}
where
    usage_date in (select usage_date from {{ source('build', 'touched_days') }})
    and gpu_uuid is not null
group by 1, 2, 3, 4, 5, 6
