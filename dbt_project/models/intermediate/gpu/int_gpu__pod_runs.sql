-- One row per clock hour, pod and card that it names ('' none) of what OpenCost says held GPUs: when in the hour, how
-- many cards, and how it shares them.
{{ config(rebuild_touched('usage_date')) }}

with runs as (
    select
        *,
        cast(coalesce(gpu_count, 0) as decimal(18, 6)) as held_gpu_count,
        {{ json_text('labels', "'nvidia_com_gpu_sharing_strategy'") }} as sharing_strategy,
        {{ json_text('labels', "'nvidia_com_gpu_replicas'") }} as replicas_text,
        {{ json_text('labels', "'nvidia_com_mps_active_thread_percentage'") }} as thread_percent_text
    from {{ ref('int_charges__heard_allocations') }}
    where
        allocation_kind = 'workload'
        and pod is not null
        and (gpu_count > 0 or gpu_uuid is not null)
        and not {{ is_gpu_exporter() }}
),

containers as (
    select
        usage_hour_at,
        cluster_name,
        node_key,
        coalesce(namespace, '') as namespace,
        pod,
        coalesce(container, '') as container,
        coalesce(gpu_uuid, '') as gpu_uuid,
        min(started_at) as started_at,
        max(ended_at) as ended_at,
        max(held_gpu_count) as gpu_count,
        max(case
            -- A fraction of a shared card is one of its replicas.
            when is_gpu_shared and held_gpu_count > 0 and held_gpu_count < 1
                then {{ integer_div(
                    '2000000 + cast(held_gpu_count * 1000000 as bigint)', '2 * cast(held_gpu_count * 1000000 as bigint)'
                ) }}
        end) as counted_replicas,
        max(cast(nullif(regexp_extract(replicas_text, '^([1-9][0-9]?)$', 1), '') as integer)) as labelled_replicas,
        max(cast(nullif(regexp_extract(thread_percent_text, '^([1-9][0-9]?|100)$', 1), '') as integer))
            as thread_percent,
        max(coalesce(sharing_strategy, '') = 'mps') as is_mps
    from runs
    group by all
)

select
    cast(usage_hour_at as date) as usage_date,
    usage_hour_at,
    cluster_name,
    node_key,
    namespace,
    pod,
    gpu_uuid,
    min(started_at) as started_at,
    max(ended_at) as ended_at,
    cast(sum(gpu_count) as decimal(18, 6)) as gpu_count,
    cast(max(coalesce(labelled_replicas, counted_replicas)) as integer) as replica_count,
    max(thread_percent) as thread_percent,
    max(is_mps) as is_mps
from containers
where
    node_key is not null
    and cast(usage_hour_at as date) in (select usage_date from {{ source('build', 'touched_days') }})
group by all
