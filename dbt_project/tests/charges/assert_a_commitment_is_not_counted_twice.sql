-- The purchase of a commitment has no effective cost: its usage rows, used and unused, carry it. A bill that says
-- otherwise counts it twice; it is told, and stays as billed.
{{ config(severity='warn', meta={'dagster': {'ref': {'name': 'int_charges__routed'}}}) }}
select
    provider_name,
    billing_account_id,
    billing_period_start_date,
    commitment_discount_id,
    {{ usd_sum('effective_cost_usd') }} as effective_cost_usd
from {{ ref('int_charges__routed') }}
where
    charge_category = 'Purchase'
    and commitment_discount_id is not null
    and effective_cost_usd != 0
group by all
