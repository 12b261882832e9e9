-- From the gateway's tokens to the bill for API models: the signed steps add up to it exactly, in both bases.
select
    provider_name,
    billing_account_id,
    billing_period_start_date,
    sum(case when step = 'model_bill' then billed_cost_usd else -billed_cost_usd end) as billed_gap_usd,
    sum(case when step = 'model_bill' then effective_cost_usd else -effective_cost_usd end) as effective_gap_usd
from {{ ref('fct_reconciliation') }}
where step like 'gateway%' or step like 'model%'
group by provider_name, billing_account_id, billing_period_start_date
having billed_gap_usd != 0 or effective_gap_usd != 0
