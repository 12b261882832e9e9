-- One row per cluster node, clock hour and holder, of the days being built: its weight in the node's bill.
-- The weight is what OpenCost says the holder took of the node in that hour, in nano-units of OpenCost's own price
-- list: a share, never a price. An allocation that ran for part of its window is spread over its run by milliseconds.
with allocations as (
    select
        *,
        greatest({{ nano_usd('total_cost_usd') }}, 0) as run_weight,
        {{ milliseconds_between('started_at', 'ended_at') }} as run_milliseconds
    from {{ ref('stg_opencost__allocations') }}
    where
        (provider_id is not null or node_name is not null)
        and allocation_kind in ('workload', 'idle', 'unmounted', 'shared')
        and ended_at > started_at
        and ended_at > (select cast(min(usage_date) as timestamp) from {{ source('build', 'touched_days') }})
        and started_at < (
            select cast({{ add_days('max(usage_date)', 1) }} as timestamp)
            from {{ source('build', 'touched_days') }}
        )
),

hours as (
    select
        *,
        {{ explode_hours('started_at', 'ended_at') }} as usage_hour_at
    from allocations
),

overlapping as (
    select
        *,
        {{ milliseconds_between(
            'greatest(started_at, usage_hour_at)',
            'least(ended_at, ' ~ add_hours('usage_hour_at', 1) ~ ')'
        ) }} as hour_milliseconds
    from hours
)

select
    {{ node_key('coalesce(provider_id, node_name)') }} as node_key,
    usage_hour_at,
    cast(usage_hour_at as date) as usage_date,
    cluster_name,
    allocation_kind,
    coalesce(namespace, '') as namespace,
    coalesce(pod, '') as pod,
    max(coalesce(controller_name, pod)) as workload_id,
    max(coalesce(is_gpu_shared, false)) as is_estimate,
    sum({{ integer_div('run_weight * hour_milliseconds', 'run_milliseconds') }}) as weight
from overlapping
group by all
