-- One row per charge group, day, owner, workload, consumer, model and step of the billing periods being built:
-- every way a dollar can go, in one shape.
select
    charge_key,
    usage_date,
    team_id,
    cost_center_id,
    environment,
    cast(null as string) as workload_id,
    cast(null as string) as consumer_id,
    cast(null as string) as model_id,
    allocation_step,
    allocation_method,
    false as is_estimate,
    billed_cost_usd,
    effective_cost_usd,
    list_cost_usd
from {{ ref('int_charges__direct') }}
union all
select
    charge_key,
    usage_date,
    team_id,
    cost_center_id,
    environment,
    workload_id,
    null,
    null,
    allocation_step,
    allocation_method,
    is_estimate,
    billed_cost_usd,
    effective_cost_usd,
    list_cost_usd
from {{ ref('int_charges__held') }}
union all
select
    charge_key,
    usage_date,
    team_id,
    cost_center_id,
    environment,
    workload_id,
    consumer_id,
    model_id,
    allocation_step,
    allocation_method,
    is_estimate,
    billed_cost_usd,
    effective_cost_usd,
    list_cost_usd
from {{ ref('int_charges__token') }}
union all
select
    charge_key,
    billing_period_start_date,
    'shared',
    null,
    null,
    null,
    null,
    null,
    'rounding',
    'rounded_once_to_the_nano_dollar',
    false,
    billed_cost_usd,
    effective_cost_usd,
    list_cost_usd
from {{ ref('int_charges__rounding') }}
