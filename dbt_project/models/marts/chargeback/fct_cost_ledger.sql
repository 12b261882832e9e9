-- One row per day, charge group, owner, environment, workload, consumer, model, step, method and posting period:
-- where each cent went. The only place where allocated money is computed; every other mart is a projection of it.
{{ config(rebuild_touched('billing_period_start_date')) }}

select
    allocated.usage_date,
    dimensions.billing_period_start_date,
    dimensions.billing_period_start_date as posting_period_start_date,
    dimensions.provider_name,
    dimensions.billing_account_id,
    dimensions.charge_category,
    dimensions.service_name,
    dimensions.resource_id,
    dimensions.cost_pool,
    allocated.team_id,
    allocated.cost_center_id,
    allocated.environment,
    allocated.workload_id,
    allocated.consumer_id,
    allocated.model_id,
    allocated.allocation_step,
    allocated.allocation_method,
    allocated.is_estimate,
    dimensions.source_name,
    allocated.charge_key,
    {{ usd('allocated.billed_cost_usd') }} as billed_cost_usd,
    {{ usd('allocated.effective_cost_usd') }} as effective_cost_usd,
    {{ usd('allocated.list_cost_usd') }} as list_cost_usd
from {{ ref('int_charges__allocated') }} as allocated
inner join {{ ref('int_charges__dimensions') }} as dimensions
    on allocated.charge_key = dimensions.charge_key
