-- One row per day, charge group, owner, environment, workload, consumer, model, step, method and posting period:
-- where each cent went. The only place where allocated money is computed; every other mart is a projection of it.
{{ config(rebuild_touched('billing_period_start_date')) }}

select
    md5(concat_ws(
        '|',
        {{ ledger_grain("coalesce(cast($ as string), '~')") }},
        cast(billing_period_start_date as string)
    )) as ledger_row_id,
    usage_date,
    billing_period_start_date,
    billing_period_start_date as posting_period_start_date,
    cast(null as string) as posting_cause,
    provider_name,
    billing_account_id,
    invoice_id,
    charge_category,
    service_name,
    resource_id,
    cost_pool,
    team_id,
    cost_center_id,
    environment,
    workload_id,
    consumer_id,
    model_id,
    allocation_step,
    allocation_method,
    is_estimate,
    owner_rule_id,
    price_set_id,
    cast(usd_per_unit as decimal(18, 9)) as usd_per_unit,
    policy_id,
    source_name,
    charge_key,
    {{ costs(usd('$') ~ ' as $') }}
from {{ ref('int_charges__current') }}
