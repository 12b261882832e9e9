-- One row per cluster node, clock hour and holder, of the days being built: what OpenCost says it took of the node in
-- that hour, in nano-units of OpenCost's own price list (a share, never a price) and in millionths of an hour of a
-- core, a GiB, a GPU. What OpenCost does not tell by part, its total alone, is `unpriced_weight`.
-- A part of a window is spread over its run by milliseconds. Idle told by cluster is laid on its nodes by what is held
-- on each, part by part, as an estimate.
{%- set weights = ['cpu_weight', 'ram_weight', 'gpu_weight', 'unpriced_weight'] %}
{%- set measures = weights + ['core_millionths', 'gib_millionths', 'gpu_millionths'] %}

with allocations as (
    select
        *,
        -- An answer aggregated by controller names no pod.
        coalesce(pod, controller_name, '') as holder_name,
        greatest({{ nano_usd('coalesce(cpu_cost_usd, 0)') }}, 0) as run_cpu_weight,
        greatest({{ nano_usd('coalesce(ram_cost_usd, 0)') }}, 0) as run_ram_weight,
        greatest({{ nano_usd('coalesce(gpu_cost_usd, 0)') }}, 0) as run_gpu_weight,
        case
            when coalesce(cpu_cost_usd, ram_cost_usd, gpu_cost_usd) is null
                then greatest({{ nano_usd('coalesce(total_cost_usd, 0)') }}, 0)
            else 0
        end as run_unpriced_weight,
        cast(cast(coalesce(cpu_core_hours, 0) as decimal(28, 6)) * 1000000 as {{ wide_integer_type() }})
            as run_core_millionths,
        {{ integer_div(
            'cast(cast(coalesce(ram_byte_hours, 0) as decimal(38, 0)) as ' ~ wide_integer_type() ~ ') * 1000000', '1073741824'
        ) }} as run_gib_millionths,
        cast(cast(coalesce(gpu_hours, 0) as decimal(28, 6)) * 1000000 as {{ wide_integer_type() }})
            as run_gpu_millionths,
        {{ milliseconds_between('started_at', 'ended_at') }} as run_milliseconds,
        {{ milliseconds_between(
            'greatest(started_at, usage_hour_at)',
            'least(ended_at, ' ~ add_hours('usage_hour_at', 1) ~ ')'
        ) }} as hour_milliseconds
    from {{ ref('int_charges__heard_allocations') }}
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
        {{ listed('sum(' ~ integer_div('run_$ * hour_milliseconds', 'run_milliseconds') ~ ') as $', measures) }}
    from allocations
    group by node_key, usage_hour_at, cluster_name, allocation_kind, coalesce(namespace, ''), holder_name
),

node_totals as (
    select
        node_key,
        usage_hour_at,
        cluster_name,
        sum({{ weights | join(' + ') }}) as node_weight,
        {{ listed('sum($) as node_$', weights) }},
        max(case when allocation_kind = 'idle' then 1 else 0 end) as own_idle_flag
    from weighted
    where node_key is not null
    group by node_key, usage_hour_at, cluster_name
),

cluster_totals as (
    select
        *,
        sum(node_weight) over cluster_hour as cluster_weight,
        {{ listed('sum(node_$) over cluster_hour as cluster_$', weights) }},
        -- Idle told by node is better, and is not told twice.
        max(own_idle_flag) over cluster_hour as cluster_idle_flag
    from node_totals
    window cluster_hour as (partition by usage_hour_at, cluster_name)
),

cluster_idle as (
    select
        totals.node_key,
        totals.usage_hour_at,
        totals.cluster_name,
        {{ listed(
            'coalesce(' ~ integer_div('idle.$ * totals.node_$', 'totals.cluster_$') ~ ', '
            ~ integer_div('idle.$ * totals.node_weight', 'totals.cluster_weight') ~ ') as $', weights
        ) }}
    from weighted as idle
    inner join cluster_totals as totals
        on
            idle.usage_hour_at = totals.usage_hour_at
            and idle.cluster_name is not distinct from totals.cluster_name
    where idle.node_key is null and idle.allocation_kind = 'idle' and totals.cluster_idle_flag = 0
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
    {{ listed('$', measures) }}
from weighted
where node_key is not null
union all
select
    node_key,
    usage_hour_at,
    cast(usage_hour_at as date),
    cluster_name,
    'idle',
    '',
    '',
    null,
    true,
    {{ listed('$', weights) }},
    0,
    0,
    0
from cluster_idle
where {{ weights | join(' + ') }} > 0
