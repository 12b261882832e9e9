-- Law 1 for GPUs: per day and GPU the instants that the models know of each holder are those of the samples in the
-- lake, which another law holds against what landing counted; and the energy of a day's counter steps is what the
-- readings in the lake say, step by step, whatever of it is set aside as implausible.
{{ config(meta={'dagster': {'ref': {'name': 'int_gpu__energy_pairs'}}}) }}

with instants as (
    select
        usage_date,
        gpu_uuid,
        sampled_at,
        max(case when metric = 'DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION' then value end) as counter_millijoules,
        count(distinct concat(
            coalesce(mig_instance_id, ''), '|', coalesce(namespace, ''), '|', coalesce(pod, '')
        )) as holder_count
    from {{ source('dcgm', 'dcgm_samples') }}
    where
        gpu_uuid is not null
        and (
            {{ is_rebuilt('usage_date') }}
            or usage_date in (
                select {{ add_days('usage_date', -1) }} from {{ source('build', 'touched_days') }}
            )
        )
    group by usage_date, gpu_uuid, sampled_at
),

readings as (
    select
        usage_date,
        gpu_uuid,
        cast(round(counter_millijoules) as bigint) as millijoules,
        lag(cast(round(counter_millijoules) as bigint)) over by_time as millijoules_before,
        lag(usage_date) over by_time as date_before
    from instants
    where counter_millijoules is not null
    window by_time as (partition by gpu_uuid order by sampled_at nulls last)
),

sides as (
    select
        usage_date,
        gpu_uuid,
        holder_count as sample_count,
        0 as step_millijoules
    from instants
    union all
    select
        usage_date,
        gpu_uuid,
        -1,
        0
    from {{ ref('int_gpu__samples') }}
    union all
    select
        usage_date,
        gpu_uuid,
        0,
        -- A reading below the one before is a restart from 0.
        case when millijoules < millijoules_before then millijoules else millijoules - millijoules_before end
    from readings
    where date_before >= {{ add_days('usage_date', -1) }}
    union all
    select
        usage_date,
        gpu_uuid,
        0,
        -delta_millijoules
    from {{ ref('int_gpu__energy_pairs') }}
)

select
    usage_date,
    gpu_uuid,
    sum(sample_count) as sample_gap,
    sum(step_millijoules) as millijoules_gap
from sides
where {{ is_rebuilt('usage_date') }}
group by usage_date, gpu_uuid
having sum(sample_count) != 0 or sum(step_millijoules) != 0
