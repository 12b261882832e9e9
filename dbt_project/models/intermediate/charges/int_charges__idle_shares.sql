-- One row per charge group, day, node, cluster and flag of idle that a policy moves, with the policy, and the pot of
-- holders that it looks to: those of the node (`pot_node_key`), else of the cluster. What a quota keeps for its holder
-- has gone before.
with told as (
    select
        charge_key,
        usage_date,
        billing_period_start_date,
        node_key,
        cluster_name,
        is_estimate,
        {{ costs() }}
    from {{ ref('int_charges__held_owners') }}
    where allocation_step = 'idle'
    union all
    select
        charge_key,
        usage_date,
        billing_period_start_date,
        node_key,
        cluster_name,
        is_estimate,
        {{ costs('-$ as $') }}
    from {{ ref('int_charges__quota_shares') }}
),

idle as (
    select
        charge_key,
        usage_date,
        billing_period_start_date,
        node_key,
        cluster_name,
        is_estimate,
        {{ costs(usd_sum('$') ~ ' as $') }}
    from told
    group by charge_key, usage_date, billing_period_start_date, node_key, cluster_name, is_estimate
),

spoken_for as (
    {{ policy_for(
        'idle',
        key=['charge_key', 'usage_date', 'node_key', 'cluster_name', 'is_estimate'],
        subject='idle',
        pools=['cluster_name']
    ) }}
)

select
    *,
    case when policy_scope = 'node' then node_key end as pot_node_key
from spoken_for
where policy_method != 'platform'
