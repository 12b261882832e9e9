-- One row per charge group of the billing periods being built, with rounding, adjustments and accruals: what its
-- ledger rows say of the charge.
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
union all
select distinct
    md5(concat_ws('|', 'adjustment', adjustment_id)),
    'adjustments',
    'wattledger',
    'adjustments',
    cast(date_trunc('month', usage_date) as date),
    cast(null as string),
    'USD',
    cast(1 as decimal(18, 9)),
    md5(concat_ws('|', adjustment_reason, approver)),
    'Adjustment',
    cast(null as string),
    'Manual adjustment',
    reference_charge,
    cast(null as string),
    'adjustment'
from {{ ref('stg_config__adjustments') }}
where
    cast(date_trunc('month', usage_date) as date) in (
        select billing_period_start_date from {{ source('build', 'touched_periods') }}
    )
union all
select distinct
    charge_key,
    'accruals',
    provider_name,
    'accruals',
    billing_period_start_date,
    cast(null as string),
    'USD',
    cast(1 as decimal(18, 9)),
    'accrual',
    'Usage',
    cast(null as string),
    service_name,
    resource_id,
    cast(null as string),
    cost_pool
from {{ ref('int_charges__accruals') }}
