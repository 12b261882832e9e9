-- A projection: the findings' GPU-hours of a day and kind are the state hours held idle or by nobody, all of them.
{{ config(meta={'dagster': {'ref': {'name': 'fct_waste'}}}) }}

with findings as (
    select
        usage_date,
        waste_kind,
        sum(wasted_gpu_hours) as gpu_hours
    from {{ ref('fct_waste') }}
    where waste_kind in ('held_idle_gpu', 'unallocated_gpu')
    group by usage_date, waste_kind
),

states as (
    select
        usage_date,
        case gpu_state when 'held_idle' then 'held_idle_gpu' else 'unallocated_gpu' end as waste_kind,
        sum(gpu_hours) as gpu_hours
    from {{ ref('fct_gpu_state_hours') }}
    where gpu_state in ('held_idle', 'unallocated')
    group by 1, 2
)

select
    states.usage_date,
    states.waste_kind,
    states.gpu_hours as state_gpu_hours,
    findings.gpu_hours as finding_gpu_hours
from states
full outer join findings
    on
        states.usage_date = findings.usage_date
        and states.waste_kind = findings.waste_kind
where coalesce(states.gpu_hours, 0) != coalesce(findings.gpu_hours, 0)
