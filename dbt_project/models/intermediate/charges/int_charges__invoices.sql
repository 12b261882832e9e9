-- One row per charge group, rounding groups among them: the invoice it stands on and what that bills, in its own
-- currency and in USD. USD is null while no rate is known.
{{ config(rebuild_touched('billing_period_start_date', touched_by=['int_charges__groups', 'int_charges__rounding'])) }}

select
    charge_key,
    provider_name,
    billing_account_id,
    invoice_id,
    currency_code,
    cast(sum(billed_cost_local) as decimal(38, 18)) as billed_cost_local,
    {{ usd_sum('billed_cost_usd') }} as billed_cost_usd,
    billing_period_start_date
from {{ ref('int_charges__groups') }}
group by all
union all
select
    charge_key,
    provider_name,
    billing_account_id,
    null,
    currency_code,
    0,
    billed_cost_usd,
    billing_period_start_date
from {{ ref('int_charges__rounding') }}
