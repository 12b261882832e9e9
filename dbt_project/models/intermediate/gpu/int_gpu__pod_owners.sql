-- One row per day, cluster and pod that held a GPU: its team by the pod's own labels, else by its namespace.
-- Where the exporter's cluster is not set or named otherwise, a pod of the same namespace and name speaks for it.
{{ config(rebuild_touched('usage_date')) }}

with holders as (
    select
        samples.usage_date,
        devices.cluster_name,
        samples.namespace,
        samples.pod
    from {{ ref('int_gpu__samples') }} as samples
    inner join {{ ref('int_gpu__devices') }} as devices
        on
            samples.usage_date = devices.usage_date
            and samples.gpu_uuid = devices.gpu_uuid
    where
        samples.usage_date in (select usage_date from {{ source('build', 'touched_days') }})
        and samples.pod != ''
    union all
    select
        runs.usage_date,
        nodes.cluster_name,
        runs.namespace,
        runs.pod
    from {{ ref('int_gpu__pod_runs') }} as runs
    inner join {{ ref('int_gpu__nodes') }} as nodes using (usage_date, node_key)
    where runs.usage_date in (select usage_date from {{ source('build', 'touched_days') }})
),

pods as (
    select distinct
        usage_date,
        cluster_name,
        namespace,
        pod,
        md5(concat_ws('|', cluster_name, namespace, pod)) as subject_key
    from holders
),

labelled as (
    select
        pods.*,
        pod_owners.team_id,
        pod_owners.cost_center_id,
        pod_owners.environment,
        pod_owners.owner_rule_id
    from pods
    inner join {{ ref('int_charges__pod_owners') }} as pod_owners
        on
            pods.usage_date = pod_owners.usage_date
            and pods.namespace = pod_owners.namespace
            and pods.pod = pod_owners.pod
    qualify row_number() over (
        partition by pods.usage_date, pods.subject_key
        order by
            case when pods.cluster_name = pod_owners.cluster_name then 1 else 2 end,
            pod_owners.cluster_name nulls last,
            pod_owners.owner_rule_id nulls last
    ) = 1
),

candidates as (
    select
        subject_key,
        usage_date,
        'namespace' as match_on,
        '' as match_key,
        namespace as match_value
    from pods
),

namespaced as (
    {{ resolve_owner('candidates') }}
)

select
    pods.usage_date,
    pods.cluster_name,
    pods.namespace,
    pods.pod,
    coalesce(labelled.team_id, namespaced.team_id, 'untagged') as team_id,
    case when labelled.team_id is not null then labelled.cost_center_id else namespaced.cost_center_id end
        as cost_center_id,
    case when labelled.team_id is not null then labelled.environment else namespaced.environment end as environment,
    coalesce(labelled.owner_rule_id, namespaced.owner_rule_id) as owner_rule_id
from pods
left join labelled
    on
        pods.usage_date = labelled.usage_date
        and pods.subject_key = labelled.subject_key
left join namespaced
    on
        pods.usage_date = namespaced.usage_date
        and pods.subject_key = namespaced.subject_key
