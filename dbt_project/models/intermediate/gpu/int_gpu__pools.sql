-- One row per day and machine that OpenCost or GPU telemetry knows: its cluster, and the models of its GPUs, '' where
-- telemetry saw none.
{{ config(rebuild_touched('usage_date')) }}

with clusters as (
    select
        node_key,
        usage_date,
        max(cluster_name) as cluster_name
    from {{ ref('int_charges__allocation_hours') }}
    where usage_date in (select usage_date from {{ source('build', 'touched_days') }})
    group by node_key, usage_date
),

cards as (
    select
        nodes.node_key,
        devices.usage_date,
        max(devices.cluster_name) as cluster_name,
        {{ array_sorted_distinct_text('devices.gpu_model') }} as gpu_model
    from {{ ref('int_gpu__devices') }} as devices
    inner join {{ ref('int_gpu__nodes') }} as nodes using (usage_date, cluster_name, hostname)
    where devices.usage_date in (select usage_date from {{ source('build', 'touched_days') }})
    group by nodes.node_key, devices.usage_date
)

select
    usage_date,
    node_key,
    coalesce(clusters.cluster_name, cards.cluster_name, 'unknown') as cluster_name,
    coalesce(cards.gpu_model, '') as gpu_model
from clusters
full outer join cards using (node_key, usage_date)
