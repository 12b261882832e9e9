-- One row per billing period, charged resource of a cluster node and day: its bill, and how many clock hours it bills.
{{ config(rebuild_touched('billing_period_start_date', touched_by=['int_charges__routed'])) }}

with node_charges as (
    select *
    from {{ ref('int_charges__routed') }}
    where is_node_charge
),

hours as (
    select
        usage_date,
        resource_id,
        billing_period_start_date,
        {{ explode_hours('charge_start_at', 'charge_end_at') }} as usage_hour_at
    from node_charges
),

billed_hours as (
    select
        usage_date,
        resource_id,
        billing_period_start_date,
        least(count(distinct usage_hour_at), 24) as billed_hour_count
    from hours
    group by usage_date, resource_id, billing_period_start_date
),

bills as (
    select
        usage_date,
        node_key,
        resource_id,
        billing_period_start_date,
        {{ usd_sum('billed_cost_usd') }} as billed_cost_usd,
        {{ usd_sum('effective_cost_usd') }} as effective_cost_usd
    from node_charges
    group by usage_date, node_key, resource_id, billing_period_start_date
)

select
    bills.usage_date,
    bills.node_key,
    bills.resource_id,
    bills.billed_cost_usd,
    bills.effective_cost_usd,
    cast(billed_hours.billed_hour_count as bigint) as billed_hour_count,
    bills.billing_period_start_date
from bills
inner join billed_hours
    on
        bills.usage_date = billed_hours.usage_date
        and bills.resource_id = billed_hours.resource_id
        and bills.billing_period_start_date = billed_hours.billing_period_start_date
