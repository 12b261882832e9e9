-- One row per day, owner and use that no bill covers, of the calendar months being built: what it would cost, as an
-- estimate, until a bill comes.
-- A node's day without any charge for the node: at OpenCost's own price, to its pods' owners. A provider's day of
-- gateway traffic that no API-model charge covers: at the price book, to the consumers. Own serving pools cost their
-- nodes.
with node_use as (
    select
        node_key,
        usage_date,
        cluster_name,
        allocation_kind,
        namespace,
        pod,
        max(workload_id) as workload_id,
        sum(cpu_weight + ram_weight + gpu_weight + unpriced_weight) as nano_usd
    from {{ ref('int_charges__allocation_hours') }} as hours
    where
        not exists (
            select 1 from {{ ref('int_charges__node_days') }} as node_days
            where hours.node_key = node_days.node_key and hours.usage_date = node_days.usage_date
        )
    group by node_key, usage_date, cluster_name, allocation_kind, namespace, pod
),

accrued as (
    select
        'wattledger' as provider_name,
        'cluster_nodes' as cost_pool,
        'Nodes without a bill' as service_name,
        node_use.node_key as resource_id,
        node_use.usage_date,
        case
            when node_use.allocation_kind = 'idle' then 'unallocated'
            when node_use.allocation_kind in ('shared', 'unmounted') then 'shared'
            else coalesce(owners.team_id, 'untagged')
        end as team_id,
        owners.cost_center_id,
        owners.environment,
        case
            when node_use.allocation_kind = 'workload' then concat_ws('/', node_use.namespace, node_use.workload_id)
        end as workload_id,
        cast(null as string) as consumer_id,
        cast(null as string) as model_id,
        'opencost_price' as allocation_method,
        owners.owner_rule_id,
        cast(null as string) as price_set_id,
        node_use.nano_usd
    from node_use
    left join {{ ref('int_charges__pod_owners') }} as owners
        on
            node_use.usage_date = owners.usage_date
            and node_use.cluster_name is not distinct from owners.cluster_name
            and node_use.namespace = owners.namespace
            and node_use.pod = owners.pod
            and node_use.allocation_kind = 'workload'
    union all
    select
        traffic.provider_name,
        'llm_api',
        'Model calls without a bill',
        null,
        traffic.usage_date,
        coalesce(traffic.team_id, 'untagged'),
        traffic.cost_center_id,
        traffic.environment,
        traffic.app_id,
        traffic.consumer_id,
        traffic.model_id,
        'price_book',
        traffic.owner_rule_id,
        traffic.price_set_id,
        traffic.weight_nano_usd
    from {{ ref('int_tokens__consumer_days') }} as traffic
    where
        traffic.provider_name != 'self-hosted'
        and not exists (
            select 1 from {{ ref('int_charges__api_days') }} as api_days
            where traffic.provider_name = api_days.provider_name and traffic.usage_date = api_days.usage_date
        )
),

keyed as (
    select
        *,
        cast(date_trunc('month', usage_date) as date) as billing_period_start_date
    from accrued
    where nano_usd > 0
)

select
    md5(concat_ws(
        '|',
        'accrual',
        provider_name,
        service_name,
        coalesce(resource_id, '~'),
        cast(billing_period_start_date as string)
    )) as charge_key,
    usage_date,
    team_id,
    cost_center_id,
    environment,
    workload_id,
    consumer_id,
    model_id,
    'accrual' as allocation_step,
    allocation_method,
    true as is_estimate,
    max(owner_rule_id) as owner_rule_id,
    max(price_set_id) as price_set_id,
    cast(null as string) as policy_id,
    cast(0 as decimal(38, 9)) as billed_cost_usd,
    cast({{ from_nano('sum(nano_usd)') }} as decimal(38, 9)) as effective_cost_usd,
    cast(null as decimal(38, 9)) as list_cost_usd,
    cast(null as decimal(38, 9)) as contracted_cost_usd,
    billing_period_start_date,
    provider_name,
    service_name,
    resource_id,
    cost_pool
from keyed
where billing_period_start_date in (select billing_period_start_date from {{ source('build', 'touched_periods') }})
group by all
