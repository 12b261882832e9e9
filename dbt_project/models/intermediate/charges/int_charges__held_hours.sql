-- One row per charge group of a cluster node, charge interval, clock hour and holder: who held the node-hour's bill.
-- Holders, idle and what no allocation speaks for (`allocation_kind` null) add up to the node-hour.
with shares as (
    select
        node_hours.*,
        allocation_hours.cluster_name,
        allocation_hours.allocation_kind,
        allocation_hours.namespace,
        allocation_hours.pod,
        allocation_hours.workload_id,
        coalesce(allocation_hours.is_estimate, false) as is_shared_gpu,
        coalesce(allocation_hours.weight, 0) as weight,
        md5(concat_ws(
            '|',
            allocation_hours.cluster_name,
            allocation_hours.allocation_kind,
            allocation_hours.namespace,
            allocation_hours.pod
        )) as holder_key
    from {{ ref('int_charges__node_hours') }} as node_hours
    left join {{ ref('int_charges__allocation_hours') }} as allocation_hours
        on
            node_hours.node_key = allocation_hours.node_key
            and node_hours.usage_hour_at = allocation_hours.usage_hour_at
),

split as (
    {{ split_usd(
        'shares',
        parent=['charge_key', 'charge_start_at', 'charge_end_at', 'usage_hour_at'],
        weight='weight',
        tie='holder_key'
    ) }}
)

select
    charge_key,
    charge_start_at,
    charge_end_at,
    usage_hour_at,
    cast(usage_hour_at as date) as usage_date,
    node_key,
    account_team_id,
    account_cost_center_id,
    account_environment,
    account_owner_rule_id,
    cluster_name,
    allocation_kind,
    namespace,
    pod,
    workload_id,
    is_shared_gpu or (is_even_split and allocation_kind is not null) as is_estimate,
    {{ costs('split_$ as $') }}
from split
