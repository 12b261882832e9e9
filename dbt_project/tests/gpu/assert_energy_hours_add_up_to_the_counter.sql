-- Energy once: per GPU the hours' counter energy is the sum of its plausible counter steps, to the millijoule.
{{ config(meta={'dagster': {'ref': {'name': 'int_gpu__energy_hours'}}}) }}

with hours as (
    select
        gpu_uuid,
        sum(counter_millijoules) as counter_millijoules
    from {{ ref('int_gpu__energy_hours') }}
    group by gpu_uuid
),

steps as (
    select
        gpu_uuid,
        sum(delta_millijoules) as counter_millijoules
    from {{ ref('int_gpu__energy_pairs') }}
    where not is_implausible
    group by gpu_uuid
)

select
    steps.gpu_uuid,
    steps.counter_millijoules as steps_millijoules,
    hours.counter_millijoules as hours_millijoules
from steps
full outer join hours on steps.gpu_uuid = hours.gpu_uuid
where steps.counter_millijoules is distinct from hours.counter_millijoules
