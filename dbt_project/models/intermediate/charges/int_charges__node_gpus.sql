-- One row per cluster node with GPUs and clock hour, of the days being built and of clusters with quotas: the pool of
-- quotas that it is in, and how many GPUs it has, in millionths. Telemetry's cards of the day are counted; else the
-- list price of all its GPUs over that of one which somebody held that day, there or elsewhere in the pool, as an
-- estimate. Null where neither speaks.
with node_models as (
    select
        shares.node_key,
        shares.usage_date,
        shares.cluster_name,
        pools.gpu_model
    from {{ ref('int_charges__node_rates') }} as shares
    left join {{ ref('int_gpu__pools') }} as pools using (usage_date, node_key)
    where shares.has_gpus
    group by all
),

-- The GPUs of a model that a quota names are a pool of their own; the rest of the cluster's are one.
nodes as (
    select
        node_models.node_key,
        node_models.usage_date,
        node_models.cluster_name,
        case when max(quotas.gpu_model = node_models.gpu_model) then node_models.gpu_model else '*' end as gpu_model
    from node_models
    inner join {{ ref('stg_config__quotas') }} as quotas
        on
            node_models.cluster_name = quotas.cluster_name
            and {{ is_valid_on('quotas', 'node_models.usage_date') }}
    group by node_models.node_key, node_models.usage_date, node_models.cluster_name, node_models.gpu_model
),

cards as (
    select
        gpu_nodes.node_key,
        gpu_nodes.usage_date,
        count(distinct devices.gpu_uuid) as card_count
    from {{ ref('int_gpu__devices') }} as devices
    inner join {{ ref('int_gpu__nodes') }} as gpu_nodes using (usage_date, cluster_name, hostname)
    group by gpu_nodes.node_key, gpu_nodes.usage_date
),

held as (
    select
        nodes.*,
        sum(hours.gpu_weight) as held_gpu_weight,
        sum(hours.gpu_millionths) as held_gpu_millionths
    from {{ ref('int_charges__allocation_hours') }} as hours
    inner join nodes using (node_key, usage_date, cluster_name)
    where hours.allocation_kind != 'idle' and hours.gpu_millionths > 0
    group by nodes.node_key, nodes.usage_date, nodes.cluster_name, nodes.gpu_model
),

pools_held as (
    select
        usage_date,
        cluster_name,
        gpu_model,
        sum(held_gpu_weight) as held_gpu_weight,
        sum(held_gpu_millionths) as held_gpu_millionths
    from held
    group by usage_date, cluster_name, gpu_model
)

select
    rates.node_key,
    rates.usage_hour_at,
    rates.usage_date,
    rates.cluster_name,
    nodes.gpu_model,
    cast(coalesce(
        cards.card_count * 1000000,
        {{ integer_div('rates.list_gpu_weight * held.held_gpu_millionths', 'held.held_gpu_weight') }},
        {{ integer_div('rates.list_gpu_weight * pools_held.held_gpu_millionths', 'pools_held.held_gpu_weight') }}
    ) as bigint) as gpu_millionths,
    cards.card_count is null as is_estimate
from {{ ref('int_charges__node_rates') }} as rates
inner join nodes using (node_key, usage_date, cluster_name)
left join cards using (node_key, usage_date)
left join held using (node_key, usage_date, cluster_name)
left join pools_held
    on
        rates.usage_date = pools_held.usage_date
        and rates.cluster_name = pools_held.cluster_name
        and nodes.gpu_model = pools_held.gpu_model
where rates.has_gpus
