-- One row per cluster node, clock hour and holder, of the days being built: its weight in the node's bill.
-- The weight is what OpenCost says the holder took of the node in that hour, in nano-units of OpenCost's own price
-- list: a share, never a price. An allocation that ran for part of its window is spread over its run by milliseconds.
-- Where windows of an hour and longer ones speak for one node-hour, the shortest is heard, so that nobody holds twice.
-- Idle that OpenCost tells by cluster is laid on its nodes by what is held on each, as an estimate.
with allocations as (
    select
        *,
        {{ node_key('coalesce(provider_id, node_name)') }} as node_key,
        -- An answer aggregated by controller names no pod.
        coalesce(pod, controller_name, '') as holder_name,
        greatest({{ milliseconds_between('window_start_at', 'window_end_at') }}, 3600000) as window_milliseconds,
        greatest({{ nano_usd('total_cost_usd') }}, 0) as run_weight,
        {{ milliseconds_between('started_at', 'ended_at') }} as run_milliseconds
    from {{ ref('stg_opencost__allocations') }}
    where
        (provider_id is not null or node_name is not null or allocation_kind = 'idle')
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
        ) }} as hour_milliseconds,
        min(window_milliseconds) over (
            partition by node_key, case when node_key is null then cluster_name end, usage_hour_at
        ) as shortest_window_milliseconds
    from hours
),

weighted as (
    select
        node_key,
        usage_hour_at,
        cluster_name,
        allocation_kind,
        coalesce(namespace, '') as namespace,
        holder_name as pod,
        max(coalesce(controller_name, pod)) as workload_id,
        max(coalesce(is_gpu_shared, false)) as is_estimate,
        sum({{ integer_div('run_weight * hour_milliseconds', 'run_milliseconds') }}) as weight
    from overlapping
    where window_milliseconds = shortest_window_milliseconds
    group by node_key, usage_hour_at, cluster_name, allocation_kind, coalesce(namespace, ''), holder_name
),

node_totals as (
    select
        node_key,
        usage_hour_at,
        cluster_name,
        sum(weight) as node_weight,
        max(case when allocation_kind = 'idle' then 1 else 0 end) as own_idle_flag
    from weighted
    where node_key is not null
    group by node_key, usage_hour_at, cluster_name
),

cluster_totals as (
    select
        usage_hour_at,
        cluster_name,
        sum(node_weight) as cluster_weight
    from node_totals
    group by usage_hour_at, cluster_name
    -- Idle told by node is better, and is not told twice.
    having max(own_idle_flag) = 0
),

cluster_idle as (
    select
        node_totals.node_key,
        node_totals.usage_hour_at,
        node_totals.cluster_name,
        {{ integer_div(
            'cast(weighted.weight as ' ~ wide_integer_type() ~ ') * node_totals.node_weight',
            'cluster_totals.cluster_weight'
        ) }} as weight
    from weighted
    inner join cluster_totals
        on
            weighted.usage_hour_at = cluster_totals.usage_hour_at
            and weighted.cluster_name is not distinct from cluster_totals.cluster_name
    inner join node_totals
        on
            weighted.usage_hour_at = node_totals.usage_hour_at
            and weighted.cluster_name is not distinct from node_totals.cluster_name
    where weighted.node_key is null and weighted.allocation_kind = 'idle'
),

holders as (
    select * from weighted
    where node_key is not null
    union all
    select
        node_key,
        usage_hour_at,
        cluster_name,
        'idle',
        '',
        '',
        null,
        true,
        weight
    from cluster_idle
    where weight > 0
)

select
    node_key,
    usage_hour_at,
    cast(usage_hour_at as date) as usage_date,
    cluster_name,
    allocation_kind,
    namespace,
    pod,
    workload_id,
    is_estimate,
    weight
from holders
