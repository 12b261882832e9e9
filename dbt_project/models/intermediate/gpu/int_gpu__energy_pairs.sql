-- One row per physical GPU and pair of successive readings of its energy counter, on the day of the later one.
-- The counter belongs to the card: a MIG instance or a pod that repeats it adds nothing. A reading below the one before
-- is a restart from 0, so all of it is new. The earlier reading is of the same day or of the day before.
{{ config(rebuild_touched('usage_date', with_neighbours=true)) }}

with readings as (
    select
        usage_date,
        gpu_uuid,
        sampled_at,
        cast(round(max(energy_millijoules)) as bigint) as energy_millijoules
    from {{ ref('int_gpu__samples') }}
    where
        usage_date in ({{ days_around_touched(days_before=2) }})
        and energy_millijoules is not null
    group by usage_date, gpu_uuid, sampled_at
),

pairs as (
    select
        *,
        lag(sampled_at) over reading_order as previous_sampled_at,
        lag(energy_millijoules) over reading_order as previous_energy_millijoules
    from readings
    window reading_order as (partition by gpu_uuid order by sampled_at nulls last)
),

deltas as (
    select
        *,
        energy_millijoules < previous_energy_millijoules as is_counter_reset,
        case
            when energy_millijoules < previous_energy_millijoules then energy_millijoules
            else energy_millijoules - previous_energy_millijoules
        end as delta_millijoules,
        {{ milliseconds_between('previous_sampled_at', 'sampled_at') }} as delta_ms
    from pairs
    where
        usage_date in ({{ days_around_touched() }})
        and cast(previous_sampled_at as date) >= {{ add_days('usage_date', -1) }}
)

select
    deltas.usage_date,
    deltas.gpu_uuid,
    deltas.previous_sampled_at as start_at,
    deltas.sampled_at as end_at,
    deltas.delta_ms,
    deltas.delta_millijoules,
    deltas.is_counter_reset,
    -- mJ / ms = W. A card cannot draw a fifth more than its board limit, or than 2,000 W where that is unknown: such a
    -- step is the counter's error.
    coalesce(deltas.delta_millijoules * 10 > deltas.delta_ms * coalesce(devices.tdp_watts * 12, 20000), false)
        as is_implausible
from deltas
left join {{ ref('int_gpu__devices') }} as devices
    on
        deltas.usage_date = devices.usage_date
        and deltas.gpu_uuid = devices.gpu_uuid
