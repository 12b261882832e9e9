-- One row per physical GPU and clock hour: its energy by the counter, and by power readings x time.
-- A pair of counter readings over an hour's edge is divided by time, in whole millijoules that add up to the pair.
{{ config(rebuild_touched('usage_date', with_neighbours=true)) }}

{%- set wide = wide_integer_type() %}

with pairs as (
    select
        *,
        cast(date_trunc('hour', start_at) as timestamp) as start_hour_at
    from {{ ref('int_gpu__energy_pairs') }}
    where
        usage_date in ({{ days_around_touched(days_after=2) }})
        and not is_implausible
),

pair_hours as (
    select
        pairs.*,
        start_hour_at as usage_hour_at
    from pairs
    where end_at <= {{ add_hours('start_hour_at', 1) }}
    union all
    select
        pairs.*,
        {{ explode_hours('start_at', 'end_at') }}
    from pairs
    where end_at > {{ add_hours('start_hour_at', 1) }}
),

elapsed as (
    select
        *,
        {{ milliseconds_between('start_at', 'greatest(start_at, usage_hour_at)') }} as from_ms,
        {{ milliseconds_between('start_at', 'least(end_at, ' ~ add_hours('usage_hour_at', 1) ~ ')') }} as until_ms
    from pair_hours
),

counted as (
    select
        gpu_uuid,
        usage_hour_at,
        sum(
            {{ integer_div('cast(delta_millijoules as ' ~ wide ~ ') * until_ms', 'delta_ms') }}
            - {{ integer_div('cast(delta_millijoules as ' ~ wide ~ ') * from_ms', 'delta_ms') }}
        ) as counter_millijoules,
        -- A restart is told in the hour of the reading that showed it.
        count(*) filter (where is_counter_reset and until_ms = delta_ms) as counter_reset_count
    from elapsed
    group by gpu_uuid, usage_hour_at
),

-- A reading above one and a half times the card's board limit, or above 2,000 W where that is unknown, is none.
readings as (
    select
        samples.usage_date,
        samples.gpu_uuid,
        samples.sampled_at,
        cast(max(
            case when samples.power_watts <= coalesce(devices.tdp_watts * 1.5, 2000) then samples.power_watts end
        ) as decimal(18, 3)) as power_watts
    from {{ ref('int_gpu__samples') }} as samples
    left join {{ ref('int_gpu__devices') }} as devices
        on
            samples.usage_date = devices.usage_date
            and samples.gpu_uuid = devices.gpu_uuid
    where samples.usage_date in ({{ days_around_touched() }})
    group by samples.usage_date, samples.gpu_uuid, samples.sampled_at
),

-- A reading that is missing among others is the one before it, for three samples at most.
powers as (
    select
        usage_date,
        gpu_uuid,
        sampled_at,
        coalesce(
            power_watts,
            lag(power_watts, 1) over card_day,
            lag(power_watts, 2) over card_day,
            lag(power_watts, 3) over card_day
        ) as power_watts
    from readings
    window card_day as (partition by usage_date, gpu_uuid order by sampled_at nulls last)
),

integrated as (
    select
        cover.gpu_uuid,
        cover.usage_hour_at,
        -- W x ms = mJ
        round(sum(powers.power_watts * cast(cover.covered_ms as decimal(18, 0))), 0) as power_millijoules
    from {{ ref('int_gpu__cover') }} as cover
    inner join powers
        on
            cover.usage_date = powers.usage_date
            and cover.gpu_uuid = powers.gpu_uuid
            and cover.sampled_at = powers.sampled_at
    group by cover.gpu_uuid, cover.usage_hour_at
)

select
    cast(coalesce(integrated.usage_hour_at, counted.usage_hour_at) as date) as usage_date,
    coalesce(integrated.usage_hour_at, counted.usage_hour_at) as usage_hour_at,
    coalesce(integrated.gpu_uuid, counted.gpu_uuid) as gpu_uuid,
    cast(counted.counter_millijoules as bigint) as counter_millijoules,
    cast(integrated.power_millijoules as bigint) as power_millijoules,
    coalesce(counted.counter_reset_count, 0) as counter_reset_count
from integrated
full outer join counted
    on
        integrated.gpu_uuid = counted.gpu_uuid
        and integrated.usage_hour_at = counted.usage_hour_at
where
    cast(coalesce(integrated.usage_hour_at, counted.usage_hour_at) as date) in ({{ days_around_touched() }})
