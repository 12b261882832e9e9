-- One row per charge group of the billing periods being built, rounding groups among them: what its ledger rows say
-- of the charge.
select distinct
    charge_key,
    source_name,
    provider_name,
    billing_account_id,
    billing_period_start_date,
    invoice_id,
    currency_code,
    usd_per_unit,
    charge_version,
    charge_category,
    charge_class,
    service_name,
    resource_id,
    commitment_discount_id,
    -- One group may hold node charges only, or none: the pool follows from its dimensions and its resource.
    max(cost_pool) over (partition by charge_key) as cost_pool
from {{ ref('int_charges__routed') }}
union all
select
    charge_key,
    source_name,
    provider_name,
    billing_account_id,
    billing_period_start_date,
    null,
    currency_code,
    usd_per_unit,
    charge_version,
    'Adjustment',
    null,
    null,
    null,
    null,
    'rounding'
from {{ ref('int_charges__rounding') }}
