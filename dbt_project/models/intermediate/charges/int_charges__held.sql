-- One row per node charge group, day, holder and step: node bills as they land in the ledger.
select
    charge_key,
    usage_date,
    team_id,
    cost_center_id,
    environment,
    workload_id,
    allocation_step,
    allocation_method,
    is_estimate,
    max(owner_rule_id) as owner_rule_id,
    max(policy_id) as policy_id,
    sum(node_hour_count) as node_hour_count,
    {{ node_rates(usd_sum('$_cost_usd') ~ ' as $_cost_usd') }},
    {{ costs(usd_sum('$') ~ ' as $') }}
from {{ ref('int_charges__held_owners') }}
group by all
