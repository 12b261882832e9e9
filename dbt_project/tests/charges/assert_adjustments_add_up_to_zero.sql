-- Manual entries move money between owners and make none: each adds up to 0 in both bases.
{{ config(meta={'dagster': {'ref': {'name': 'int_charges__zero_sum'}}}) }}
select
    charge_key,
    max(usage_date) as usage_date,
    {{ usd_sum('effective_cost_usd') }} as effective_cost_usd,
    {{ usd_sum('billed_cost_usd') }} as billed_cost_usd
from {{ ref('int_charges__zero_sum') }}
group by charge_key
having sum(effective_cost_usd) != 0 or sum(billed_cost_usd) != 0
