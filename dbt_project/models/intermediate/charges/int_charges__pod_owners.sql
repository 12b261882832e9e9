-- One row per pod and day that an owner rule speaks for, by its labels, then by its namespace.
with pods as (
    select distinct
        md5(concat_ws(
            '|', coalesce(cluster_name, '~'), coalesce(namespace, ''), coalesce(pod, controller_name, ''),
            coalesce(labels, '~')
        )) as subject_key,
        cast(usage_hour_at as date) as usage_date,
        cluster_name,
        coalesce(namespace, '') as namespace,
        -- An answer aggregated by controller names no pod.
        coalesce(pod, controller_name, '') as pod,
        labels
    from (
        select
            *,
            {{ explode_hours('started_at', 'ended_at') }} as usage_hour_at
        from {{ ref('stg_opencost__allocations') }}
        where allocation_kind = 'workload' and ended_at > started_at
    ) as runs
),

tag_keys as (
    select distinct match_key
    from {{ ref('stg_config__owner_rules') }}
    where match_on = 'tag'
),

candidates as (
    select
        pods.subject_key,
        pods.usage_date,
        'tag' as match_on,
        tag_keys.match_key,
        {{ json_text('pods.labels', 'tag_keys.match_key') }} as match_value
    from pods
    cross join tag_keys
    where pods.labels is not null
    union all
    select
        subject_key,
        usage_date,
        'namespace',
        '',
        namespace
    from pods
),

owners as (
    {{ resolve_owner('candidates') }}
)

select
    pods.usage_date,
    pods.cluster_name,
    pods.namespace,
    pods.pod,
    owners.team_id,
    owners.cost_center_id,
    owners.environment,
    owners.owner_rule_id
from pods
inner join owners
    on
        pods.subject_key = owners.subject_key
        and pods.usage_date = owners.usage_date
-- A pod relabelled within a day keeps the owner of the rule that comes first.
qualify row_number() over (
    partition by pods.usage_date, pods.cluster_name, pods.namespace, pods.pod
    order by owners.owner_rule_id nulls last, pods.subject_key
) = 1
