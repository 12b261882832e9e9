-- One row per physical GPU, instant of a sample and clock hour: the milliseconds of the hour that the sample speaks
-- for. A sample speaks until the next one; over a gap of more than gpu_sample_gap_multiple times the GPU's usual
-- spacing of the day (the median) it speaks for one spacing, and what follows is unknown. The first sample also speaks
-- back to midnight and the last on to midnight, where that is no such gap. Days do not look at each other.
{{ config(rebuild_touched('usage_date')) }}

{%- set day_milliseconds = 86400000 %}
{%- set hour_milliseconds = 3600000 %}

with samples as (
    select
        *,
        max(activity_row_flag) over (partition by usage_date, gpu_uuid) as has_activity_in_day
    from {{ ref('int_gpu__samples') }}
    where usage_date in (select usage_date from {{ source('build', 'touched_days') }})
),

-- Where a GPU has activity metrics, instants that carry only others (slower or faster scrapes) say nothing of its
-- state.
instants as (
    select
        usage_date,
        gpu_uuid,
        sampled_at,
        {{ milliseconds_between('cast(usage_date as timestamp)', 'sampled_at') }} as sampled_ms
    from samples
    group by usage_date, gpu_uuid, sampled_at
    having max(activity_row_flag) = max(has_activity_in_day)
),

gaps as (
    select
        *,
        lag(sampled_ms) over (partition by usage_date, gpu_uuid order by sampled_at nulls last) as previous_ms,
        lead(sampled_ms) over (partition by usage_date, gpu_uuid order by sampled_at nulls last) as next_ms
    from instants
),

spacings as (
    select
        usage_date,
        gpu_uuid,
        -- A single sample of a day has no spacing: it speaks for the exporter's default collection interval, 30 s.
        coalesce(cast(floor({{ exact_median('next_ms - sampled_ms') }}) as bigint), 30000) as spacing_ms
    from gaps
    group by usage_date, gpu_uuid
),

limits as (
    select
        *,
        spacing_ms * {{ policy_number('gpu_sample_gap_multiple', 3) }} as limit_ms
    from spacings
),

intervals as (
    select
        gaps.usage_date,
        gaps.gpu_uuid,
        gaps.sampled_at,
        case
            when gaps.previous_ms is null and gaps.sampled_ms <= limits.limit_ms then 0
            else gaps.sampled_ms
        end as start_ms,
        case
            when coalesce(gaps.next_ms, {{ day_milliseconds }}) - gaps.sampled_ms <= limits.limit_ms
                then coalesce(gaps.next_ms, {{ day_milliseconds }})
            else least(
                gaps.sampled_ms + limits.spacing_ms,
                coalesce(gaps.next_ms, {{ day_milliseconds }})
            )
        end as end_ms
    from gaps
    inner join limits
        on
            gaps.usage_date = limits.usage_date
            and gaps.gpu_uuid = limits.gpu_uuid
),

numbered as (
    select
        *,
        cast({{ integer_div('start_ms', hour_milliseconds) }} as integer) as first_hour,
        cast({{ integer_div('end_ms - 1', hour_milliseconds) }} as integer) as last_hour
    from intervals
    where end_ms > start_ms
),

clock as (
    select cast(date_part('hour', clock_at) as integer) as hour_of_day
    from (
        select {{ explode_hours("timestamp '2000-01-01'", "timestamp '2000-01-02'") }} as clock_at
    ) as clock_hours
),

covered as (
    select
        usage_date,
        gpu_uuid,
        sampled_at,
        first_hour as hour_of_day,
        end_ms - start_ms as covered_ms
    from numbered
    where first_hour = last_hour
    union all
    select
        numbered.usage_date,
        numbered.gpu_uuid,
        numbered.sampled_at,
        clock.hour_of_day,
        least(numbered.end_ms, (clock.hour_of_day + 1) * {{ hour_milliseconds }})
        - greatest(numbered.start_ms, clock.hour_of_day * {{ hour_milliseconds }})
    from numbered
    inner join clock
        on
            clock.hour_of_day >= numbered.first_hour
            and clock.hour_of_day <= numbered.last_hour
    where numbered.first_hour < numbered.last_hour
)

select
    usage_date,
    gpu_uuid,
    sampled_at,
    cast({{ add_hours('cast(usage_date as timestamp)', 'hour_of_day') }} as timestamp) as usage_hour_at,
    cast(covered_ms as bigint) as covered_ms
from covered
