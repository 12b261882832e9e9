-- A projection: showback's GPU-hours of a day and team are the state hours, held and unheld; worked and idle are parts
-- of held.
{{ config(meta={'dagster': {'ref': {'name': 'fct_showback_daily'}}}) }}
with states as (
    select
        usage_date,
        team_id,
        sum(gpu_hours) as gpu_hours
    from {{ ref('fct_gpu_state_hours') }}
    group by usage_date, team_id
),

showback as (
    select
        usage_date,
        team_id,
        sum(coalesce(held_gpu_hours, 0) + coalesce(unheld_gpu_hours, 0)) as gpu_hours,
        min(coalesce(held_gpu_hours - worked_gpu_hours - idle_gpu_hours, 0)) as unmeasured_gpu_hours
    from {{ ref('fct_showback_daily') }}
    group by usage_date, team_id
)

select
    states.gpu_hours as state_gpu_hours,
    showback.gpu_hours as showback_gpu_hours,
    coalesce(states.usage_date, showback.usage_date) as usage_date,
    coalesce(states.team_id, showback.team_id) as team_id
from states
full outer join showback
    on
        states.usage_date = showback.usage_date
        and states.team_id = showback.team_id
where coalesce(states.gpu_hours, 0) != coalesce(showback.gpu_hours, 0) or showback.unmeasured_gpu_hours < 0
