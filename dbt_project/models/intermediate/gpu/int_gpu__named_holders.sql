-- One row per physical GPU, instant without a pod label, and pod that OpenCost says held the card then: by the card's
-- UUID or a label of the hour, else by its node. What pods hold of a node's cards when nobody can say which goes in
-- equal parts over those cards: to the pod where there is one alone, else to the bucket `unlabelled`.
{{ config(materialized='ephemeral') }}

with unlabelled as (
    select
        usage_date,
        gpu_uuid,
        sampled_at,
        cast(date_trunc('hour', sampled_at) as timestamp) as usage_hour_at
    from {{ ref('int_gpu__samples') }}
    where usage_date in (select usage_date from {{ source('build', 'touched_days') }})
    group by usage_date, gpu_uuid, sampled_at
    having max(pod) = '' and max(mig_instance_id) = ''
),

labelled as (
    select distinct
        samples.usage_date,
        cast(date_trunc('hour', samples.sampled_at) as timestamp) as usage_hour_at,
        samples.gpu_uuid,
        cards.node_key,
        samples.namespace,
        samples.pod
    from {{ ref('int_gpu__samples') }} as samples
    inner join {{ ref('int_gpu__cards') }} as cards using (usage_date, gpu_uuid)
    where
        samples.usage_date in (select usage_date from {{ source('build', 'touched_days') }})
        and samples.pod != ''
),

runs as (
    select *
    from {{ ref('int_gpu__pod_runs') }}
    where usage_date in (select usage_date from {{ source('build', 'touched_days') }})
),

-- A run speaks for the card that it names, or that a label of the same hour put its pod on: labels come and go.
card_runs as (
    select
        usage_hour_at,
        gpu_uuid,
        namespace,
        pod,
        started_at,
        ended_at
    from runs
    where gpu_uuid != ''
    union all
    select
        runs.usage_hour_at,
        labelled.gpu_uuid,
        runs.namespace,
        runs.pod,
        runs.started_at,
        runs.ended_at
    from runs
    inner join labelled using (usage_hour_at, node_key, namespace, pod)
),

by_card as (
    select distinct
        unlabelled.usage_date,
        unlabelled.gpu_uuid,
        unlabelled.sampled_at,
        card_runs.namespace,
        card_runs.pod
    from unlabelled
    inner join card_runs
        on
            unlabelled.usage_hour_at = card_runs.usage_hour_at
            and unlabelled.gpu_uuid = card_runs.gpu_uuid
            and unlabelled.sampled_at >= card_runs.started_at
            and unlabelled.sampled_at < card_runs.ended_at
),

-- Pods that neither a label nor a UUID puts on a card.
unplaced_runs as (
    select *
    from runs
    where
        gpu_uuid = ''
        and gpu_count > 0
        and (usage_date, node_key, namespace, pod) not in (select usage_date, node_key, namespace, pod from labelled)
),

unplaced_cards as (
    select
        unlabelled.*,
        cards.node_key
    from unlabelled
    inner join {{ ref('int_gpu__cards') }} as cards using (usage_date, gpu_uuid)
    left join by_card using (usage_date, gpu_uuid, sampled_at)
    where by_card.pod is null
),

card_counts as (
    select
        usage_hour_at,
        node_key,
        count(distinct gpu_uuid) as card_count
    from unplaced_cards
    group by usage_hour_at, node_key
),

by_node as (
    select
        unplaced_cards.usage_date,
        unplaced_cards.gpu_uuid,
        unplaced_cards.sampled_at,
        count(distinct concat_ws('/', runs.namespace, runs.pod)) as pod_count,
        min(runs.namespace) as namespace,
        min(runs.pod) as pod,
        sum(runs.gpu_count) as held_gpu_count,
        min(card_counts.card_count) as card_count
    from unplaced_cards
    inner join card_counts using (usage_hour_at, node_key)
    inner join unplaced_runs as runs
        on
            unplaced_cards.usage_hour_at = runs.usage_hour_at
            and unplaced_cards.node_key = runs.node_key
            and unplaced_cards.sampled_at >= runs.started_at
            and unplaced_cards.sampled_at < runs.ended_at
    group by unplaced_cards.usage_date, unplaced_cards.gpu_uuid, unplaced_cards.sampled_at
)

select
    usage_date,
    gpu_uuid,
    sampled_at,
    namespace,
    pod,
    'card_facts' as holder_source,
    cast(null as bigint) as held_millionths
from by_card
union all
select
    usage_date,
    gpu_uuid,
    sampled_at,
    case when pod_count = 1 then namespace else '' end,
    case when pod_count = 1 then pod else 'unlabelled' end,
    case when pod_count = 1 then 'node_facts' else 'unlabelled' end,
    cast({{ integer_div(
        'least(cast(held_gpu_count * 1000000 as bigint), card_count * 1000000)', 'card_count'
    ) }} as bigint)
from by_node
