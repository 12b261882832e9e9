-- One row per allocation and clock hour of its run, of the days being built, of the answers that are heard.
-- Answers may overlap, and say the same thing twice. Of windows of several lengths the shortest is heard; of answers
-- told by container, pod, controller or namespace the finest; of answers that name the same allocation in windows that
-- overlap the one whose window begins last, and of one window the one whose object is named last. Answers without an
-- allocation in common are parts of a whole and stand side by side, with the idle that each repeats once.
{%- set key = ['usage_hour_at', 'node_scope', 'object_uri', 'window_start_at'] %}

with hours as (
    select
        *,
        {{ node_key('coalesce(provider_id, node_name)') }} as node_key,
        coalesce(
            {{ node_key('coalesce(provider_id, node_name)') }}, concat('cluster ', coalesce(cluster_name, ''))
        ) as node_scope,
        concat_ws(
            '|', allocation_kind, coalesce(allocation_name, ''), coalesce(namespace, ''), coalesce(controller_name, ''),
            coalesce(pod, ''), coalesce(container, '')
        ) as told_of,
        case
            when allocation_kind <> 'workload' then null
            when container is not null then 1
            when pod is not null then 2
            when controller_name is not null then 3
            else 4
        end as coarseness,
        greatest({{ milliseconds_between('window_start_at', 'window_end_at') }}, 3600000) as window_milliseconds,
        {{ explode_hours('started_at', 'ended_at') }} as usage_hour_at
    from {{ ref('stg_opencost__allocations') }}
    where
        (provider_id is not null or node_name is not null or allocation_kind = 'idle')
        and allocation_kind in ('workload', 'idle', 'unmounted', 'shared')
        and ended_at > started_at
        and ended_at > (select cast(min(usage_date) as timestamp) from {{ source('build', 'touched_days') }})
        and started_at < (
            select cast({{ add_days('max(usage_date)', 1) }} as timestamp) from {{ source('build', 'touched_days') }}
        )
),

measured as (
    select
        *,
        min(window_milliseconds) over (partition by node_scope, usage_hour_at) as shortest_window_milliseconds
    from hours
),

shortest as (
    select
        *,
        min(coarseness) over (partition by {{ key | join(', ') }}) as answer_coarseness
    from measured
    where window_milliseconds = shortest_window_milliseconds
),

compared as (
    select
        *,
        min(answer_coarseness) over (partition by node_scope, usage_hour_at) as finest_coarseness
    from shortest
),

finest as (
    select
        *,
        min(object_uri) over (partition by node_scope, usage_hour_at, told_of) as first_object_uri,
        max(object_uri) over (partition by node_scope, usage_hour_at, told_of) as last_object_uri,
        min(window_start_at) over (partition by node_scope, usage_hour_at, told_of) as first_window_start_at,
        max(window_start_at) over (partition by node_scope, usage_hour_at, told_of) as last_window_start_at
    from compared
    where answer_coarseness is null or answer_coarseness = finest_coarseness
),

told_twice as (
    select distinct
        {{ key | join(', ') }},
        window_end_at,
        told_of,
        allocation_kind
    from finest
    where first_object_uri <> last_object_uri or first_window_start_at <> last_window_start_at
),

outdated as (
    select distinct
        {{ listed('older.$', key) }},
        older.told_of,
        older.allocation_kind
    from told_twice as older
    inner join told_twice as newer
        on
            older.node_scope = newer.node_scope
            and older.usage_hour_at = newer.usage_hour_at
            and older.told_of = newer.told_of
            and newer.window_start_at < older.window_end_at
            and older.window_start_at < newer.window_end_at
            and (
                newer.window_start_at > older.window_start_at
                or (newer.window_start_at = older.window_start_at and newer.object_uri > older.object_uri)
            )
)

select
    cast(finest.usage_hour_at as date) as usage_date,
    {{ listed('finest.$', [
        'usage_hour_at', 'node_key', 'cluster_name', 'allocation_kind', 'namespace', 'controller_name', 'pod',
        'container', 'labels', 'gpu_uuid', 'is_gpu_shared', 'gpu_count', 'cpu_core_hours', 'ram_byte_hours',
        'gpu_hours', 'cpu_cost_usd', 'ram_cost_usd', 'gpu_cost_usd', 'total_cost_usd', 'started_at', 'ended_at',
    ]) }}
from finest
left join (
    select distinct {{ key | join(', ') }} from outdated where allocation_kind = 'workload'
) as outdated_answers
    on
        finest.usage_hour_at = outdated_answers.usage_hour_at
        and finest.node_scope = outdated_answers.node_scope
        and finest.object_uri = outdated_answers.object_uri
        and finest.window_start_at = outdated_answers.window_start_at
left join outdated as outdated_rows
    on
        finest.usage_hour_at = outdated_rows.usage_hour_at
        and finest.node_scope = outdated_rows.node_scope
        and finest.object_uri = outdated_rows.object_uri
        and finest.window_start_at = outdated_rows.window_start_at
        and finest.told_of = outdated_rows.told_of
where outdated_answers.usage_hour_at is null and outdated_rows.usage_hour_at is null
