-- One row per node charge group, day, node, cluster, holder and owner: node bills by who held them, before policies.
with held as (
    select
        held_hours.*,
        pod_owners.team_id as pod_team_id,
        pod_owners.cost_center_id as pod_cost_center_id,
        pod_owners.environment as pod_environment,
        pod_owners.owner_rule_id as pod_owner_rule_id
    from {{ ref('int_charges__held_hours') }} as held_hours
    left join {{ ref('int_charges__pod_owners') }} as pod_owners
        on
            held_hours.usage_date = pod_owners.usage_date
            and held_hours.cluster_name is not distinct from pod_owners.cluster_name
            and held_hours.namespace = pod_owners.namespace
            and held_hours.pod = pod_owners.pod
            and held_hours.allocation_kind = 'workload'
)

select
    charge_key,
    usage_date,
    billing_period_start_date,
    node_key,
    cluster_name,
    allocation_kind,
    case
        when allocation_kind is null then coalesce(account_team_id, 'unknown')
        when allocation_kind = 'idle' then 'unallocated'
        when allocation_kind in ('shared', 'unmounted') then 'shared'
        else coalesce(pod_team_id, 'untagged')
    end as team_id,
    case when allocation_kind is null then account_cost_center_id else pod_cost_center_id end as cost_center_id,
    case when allocation_kind is null then account_environment else pod_environment end as environment,
    case when allocation_kind = 'workload' then concat_ws('/', namespace, workload_id) end as workload_id,
    case
        when allocation_kind is null and account_team_id is not null then 'direct'
        when allocation_kind is null then 'unallocated'
        when allocation_kind = 'idle' then 'idle'
        when allocation_kind in ('shared', 'unmounted') then 'shared'
        else 'held'
    end as allocation_step,
    case
        when allocation_kind is null and account_team_id is not null then 'account_owner_rule'
        when allocation_kind is null then 'node_hour_without_allocations'
        else held.allocation_method
    end as allocation_method,
    is_estimate,
    max(case when allocation_kind is null then account_owner_rule_id else pod_owner_rule_id end) as owner_rule_id,
    max(policy_id) as policy_id,
    count(*) as node_hour_count,
    {{ node_rates(usd_sum('$_cost_usd') ~ ' as $_cost_usd') }},
    {{ costs(usd_sum('$') ~ ' as $') }}
from held
group by all
