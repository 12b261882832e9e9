-- One row per billing period, charged resource of a cluster node and day: its bill.
{{ config(rebuild_touched('billing_period_start_date')) }}

select
    usage_date,
    node_key,
    resource_id,
    {{ usd_sum('billed_cost_usd') }} as billed_cost_usd,
    {{ usd_sum('effective_cost_usd') }} as effective_cost_usd,
    billing_period_start_date
from {{ ref('int_charges__routed') }}
where is_node_charge
group by all
