-- One row per charge group of a cluster node, charge interval, clock hour and holder: who held the node-hour's bill.
-- Holders, idle and what no allocation speaks for (`allocation_kind` null) add up to the node-hour.
with shares as (
    select
        node_hours.*,
        node_shares.cluster_name,
        node_shares.allocation_kind,
        node_shares.namespace,
        node_shares.pod,
        node_shares.workload_id,
        coalesce(node_shares.is_estimate, false) as is_shared_gpu,
        node_shares.allocation_method,
        node_shares.policy_id,
        coalesce(node_shares.weight, 0) as weight,
        {{ node_rates('node_shares.$_weight') }},
        md5(concat_ws(
            '|',
            node_shares.cluster_name,
            node_shares.allocation_kind,
            node_shares.namespace,
            node_shares.pod
        )) as holder_key
    from {{ ref('int_charges__node_hours') }} as node_hours
    left join {{ ref('int_charges__node_shares') }} as node_shares
        on
            node_hours.node_key = node_shares.node_key
            and node_hours.usage_hour_at = node_shares.usage_hour_at
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
    billing_period_start_date,
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
    allocation_method,
    policy_id,
    is_shared_gpu or (is_even_split and allocation_kind is not null) as is_estimate,
    -- What each policy would give, to the nano-dollar below: shown beside, never added up.
    {{ node_rates(from_nano('case when split.effective_cost_usd < 0 then -1 else 1 end * ' ~ integer_div(
        'abs(' ~ nano_usd('split.effective_cost_usd') ~ ') * $_weight',
        'sum($_weight) over (partition by charge_key, charge_start_at, charge_end_at, usage_hour_at)'
    )) ~ ' as $_cost_usd') }},
    {{ costs('split_$ as $') }}
from split
