-- One row per day, pod name and pod that had it, as the day's dumps of its cluster tell: until when it waited for the
-- rest of its gang, and until when for its first container. Where a dump saw it wait still, until that dump: later
-- nobody knows. A gang waits where as many members were seen as it needs, and fewer were put on nodes.
{{ config(rebuild_touched('usage_date')) }}

with pods as (
    select
        usage_date,
        cluster_name,
        namespace,
        pod,
        pod_id,
        max(owner_id) as owner_id,
        max(pod_group_name) as own_group_name,
        max(pod_group_pod_count) as pod_group_pod_count,
        min(created_at) as created_at,
        min(scheduled_at) as scheduled_at,
        -- Of containers the last two starts are told: after more, the first one is not among them.
        min(case when restart_count > 1 then initialized_at else first_container_started_at end) as started_at,
        max(observed_at) as last_observed_at
    from {{ ref('stg_kube__pods') }}
    where usage_date in (select usage_date from {{ source('build', 'touched_days') }})
    group by usage_date, cluster_name, namespace, pod, pod_id
),

group_sizes as (
    select
        usage_date,
        cluster_name,
        namespace,
        pod_group_name,
        max(min_pod_count) as min_pod_count
    from {{ ref('stg_kube__pod_groups') }}
    where usage_date in (select usage_date from {{ source('build', 'touched_days') }})
    group by usage_date, cluster_name, namespace, pod_group_name
),

-- The pods of a job that Kueue lets start are of no group: job and workload have one owner.
workload_sizes as (
    select
        usage_date,
        cluster_name,
        owner_id,
        max(workload_name) as workload_name,
        max(min_pod_count) as min_pod_count
    from {{ ref('stg_kube__workloads') }}
    where owner_id is not null and usage_date in (select usage_date from {{ source('build', 'touched_days') }})
    group by usage_date, cluster_name, owner_id
),

grouped as (
    select
        pods.*,
        coalesce(pods.own_group_name, workload_sizes.workload_name) as pod_group_name,
        coalesce(
            group_sizes.min_pod_count,
            pods.pod_group_pod_count,
            case when pods.own_group_name is null then workload_sizes.min_pod_count end
        ) as gang_pod_count
    from pods
    left join group_sizes
        on
            pods.usage_date = group_sizes.usage_date
            and pods.cluster_name is not distinct from group_sizes.cluster_name
            and pods.namespace = group_sizes.namespace
            and pods.own_group_name = group_sizes.pod_group_name
    left join workload_sizes
        on
            pods.usage_date = workload_sizes.usage_date
            and pods.cluster_name is not distinct from workload_sizes.cluster_name
            and pods.owner_id = workload_sizes.owner_id
),

members as (
    select
        *,
        count(*) over (partition by usage_date, cluster_name, namespace, pod_group_name) as seen_pod_count,
        row_number() over (
            partition by usage_date, cluster_name, namespace, pod_group_name
            order by scheduled_at nulls last, pod_id
        ) as member_number
    from grouped
),

-- The gang is whole when the last one that it needs is put on a node.
gangs as (
    select
        *,
        max(case when member_number = gang_pod_count then scheduled_at end) over (
            partition by usage_date, cluster_name, namespace, pod_group_name
        ) as whole_at,
        lead(created_at) over (
            partition by usage_date, cluster_name, namespace, pod order by created_at nulls last, pod_id
        ) as next_created_at
    from members
)

select
    usage_date,
    coalesce(cluster_name, 'unknown') as cluster_name,
    namespace,
    pod,
    pod_id,
    scheduled_at as held_from_at,
    coalesce(next_created_at, timestamp '9999-12-31 00:00:00') as held_to_at,
    case
        when pod_group_name is not null and seen_pod_count >= gang_pod_count then coalesce(whole_at, last_observed_at)
    end as gang_wait_until_at,
    coalesce(started_at, last_observed_at) as starting_until_at
from gangs
where scheduled_at is not null
