-- One row per day and physical GPU: where it stood and what it is, as its last sample of the day says.
{{ config(rebuild_touched('usage_date')) }}

with devices as (
    select
        usage_date,
        gpu_uuid,
        max_by(hostname, sampled_at) filter (where hostname is not null) as hostname,
        max_by(cluster_name, sampled_at) filter (where cluster_name is not null) as cluster_name,
        max_by(gpu_model_name, sampled_at) filter (where gpu_model_name is not null) as gpu_model_name
    from {{ ref('int_gpu__samples') }}
    where usage_date in (select usage_date from {{ source('build', 'touched_days') }})
    group by usage_date, gpu_uuid
)

select
    devices.usage_date,
    devices.gpu_uuid,
    coalesce(devices.hostname, 'unknown') as hostname,
    coalesce(devices.cluster_name, 'unknown') as cluster_name,
    coalesce(models.gpu_model, devices.gpu_model_name, 'unknown') as gpu_model,
    models.tdp_watts,
    -- Cards that the seed does not know are cut as the usual ones are.
    coalesce(models.mig_compute_slices, 7) as mig_compute_slices,
    models.memory_mib
from devices
left join {{ ref('gpu_models') }} as models
    on lower(replace(devices.gpu_model_name, '-', ' ')) = lower(replace(models.gpu_model_name, '-', ' '))
