-- One row per charge group of the billing periods being built, with rounding, adjustments and accruals: what its
-- ledger rows say of the charge.
-- `is_reversal`: it takes back, or corrects, what another line charged: a credit, a correction, use of a negative cost.
select distinct
    charge_key,
    source_name,
    provider_name,
    billing_account_id,
    sub_account_id,
    billing_period_start_date,
    invoice_id,
    currency_code,
    usd_per_unit,
    charge_version,
    charge_category,
    charge_class,
    service_name,
    resource_id,
    sku_id,
    commitment_discount_id,
    charge_category != 'Tax' and (
        charge_category in ('Credit', 'Adjustment')
        or coalesce(charge_class = 'Correction', false)
        or sum(effective_cost_usd) over (partition by charge_key) < 0
        or sum(billed_cost_usd) over (partition by charge_key) < 0
    ) as is_reversal,
    -- One group may hold node charges only, or none: the pool follows from its dimensions and its resource.
    max(cost_pool) over (partition by charge_key) as cost_pool
from {{ ref('int_charges__routed') }}
union all
select
    charge_key,
    source_name,
    provider_name,
    billing_account_id,
    null,
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
    null,
    false,
    'rounding'
from {{ ref('int_charges__rounding') }}
union all
select distinct
    md5(concat_ws('|', 'adjustment', adjustment_id)),
    'adjustments',
    'wattledger',
    'adjustments',
    cast(null as string),
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
    cast(null as string),
    false,
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
    cast(null as string),
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
    cast(null as string),
    false,
    cost_pool
from {{ ref('int_charges__accruals') }}
