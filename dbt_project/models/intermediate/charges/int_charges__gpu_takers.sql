-- One row per cluster node, clock hour and pod ('' nobody) of a node whose GPUs telemetry saw all the hour: its part of
-- the node's GPUs, in parts of 1e12. Only where each holder is a pod that OpenCost knows on the node in that hour; else
-- OpenCost's own GPU counts stand. What no instance or replica of a card gives out is nobody's.
{%- set one = '1000000000000' %}

with card_holders as (
    select
        nodes.node_key,
        weights.usage_hour_at,
        weights.gpu_uuid,
        weights.namespace,
        weights.pod,
        weights.is_estimate,
        weights.gpu_state = 'unknown' and weights.pod = '' as is_unseen,
        -- Cards of 7 and of 4 slices are one card each.
        {{ integer_div('weights.weight * 28', 'devices.mig_compute_slices') }} as weight
    from {{ ref('int_gpu__state_weights') }} as weights
    inner join {{ ref('int_gpu__devices') }} as devices using (usage_date, gpu_uuid)
    inner join {{ ref('int_gpu__nodes') }} as nodes using (usage_date, cluster_name, hostname)
    where weights.usage_date in (select usage_date from {{ source('build', 'touched_days') }})
),

holders as (
    select
        node_key,
        usage_hour_at,
        namespace,
        pod,
        max(is_estimate) as is_estimate,
        max(is_unseen) as is_unseen,
        sum(weight) as weight
    from card_holders
    group by node_key, usage_hour_at, namespace, pod
),

card_counts as (
    select
        node_key,
        usage_hour_at,
        count(distinct gpu_uuid) as card_count
    from card_holders
    group by node_key, usage_hour_at
),

known_pods as (
    select distinct
        node_key,
        usage_hour_at,
        namespace,
        pod
    from {{ ref('int_charges__allocation_hours') }}
    where allocation_kind = 'workload'
),

judged as (
    select
        holders.*,
        max(holders.is_unseen or (holders.pod != '' and known_pods.pod is null)) over node_hour as is_doubtful,
        sum(holders.weight) over node_hour as node_weight
    from holders
    left join known_pods using (node_key, usage_hour_at, namespace, pod)
    window node_hour as (partition by holders.node_key, holders.usage_hour_at)
)

select
    judged.node_key,
    judged.usage_hour_at,
    judged.namespace,
    judged.pod,
    judged.is_estimate,
    card_counts.card_count,
    {{ integer_div('cast(judged.weight as ' ~ wide_integer_type() ~ ') * ' ~ one, 'judged.node_weight') }} as gpu_parts
from judged
inner join card_counts using (node_key, usage_hour_at)
where not judged.is_doubtful
