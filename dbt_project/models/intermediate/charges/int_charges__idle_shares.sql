-- One row per charge group, day, node, cluster and flag of idle that a policy moves, with the policy, and the pot of
-- holders that it looks to: those of the node (`pot_node_key`), else of the cluster.
with idle as (
    select
        charge_key,
        usage_date,
        node_key,
        cluster_name,
        is_estimate,
        {{ costs(usd_sum('$') ~ ' as $') }}
    from {{ ref('int_charges__held_owners') }}
    where allocation_step = 'idle'
    group by charge_key, usage_date, node_key, cluster_name, is_estimate
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
