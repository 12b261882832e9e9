-- Law 1 per invoice: the bridge's steps add up to what the ledger billed, and that is what the invoice's own lines
-- bill, to the nano-dollar in USD and whole in the invoice's currency. What it charges is what statements charge.
{{ config(meta={'dagster': {'ref': {'name': 'fct_invoice_bridge'}}}) }}

{%- set invoice = 'billing_period_start_date, provider_name, billing_account_id, invoice_id, currency_code' %}

with delivered as (
    select
        {{ invoice }},
        sum(billed_cost_local) as lines_cost_local
    from {{ ref('int_charges__lines') }}
    where provider_name != 'wattledger'
    group by all
),

-- One group by instead of a join: an invoice may have neither number nor currency.
sides as (
    select
        {{ invoice }},
        case when step = 'billed' then charged_cost_usd when step != 'payable' then -charged_cost_usd end
            as charged_gap_usd,
        case when step = 'billed' then step_cost_usd when step != 'payable' then -step_cost_usd end as step_gap_usd,
        case step when 'payable' then step_cost_usd when 'billed' then -step_cost_usd end as payable_gap_usd,
        case when step = 'payable' then payable_cost_local end as local_gap
    from {{ ref('fct_invoice_bridge') }}
    union all
    select
        {{ invoice }},
        null,
        null,
        null,
        -lines_cost_local
    from delivered
),

gaps as (
    select
        {{ invoice }},
        coalesce(sum(charged_gap_usd), 0) as charged_gap_usd,
        coalesce(sum(step_gap_usd), 0) as step_gap_usd,
        coalesce(sum(payable_gap_usd), 0) as payable_gap_usd,
        coalesce(sum(local_gap), 0) as local_gap
    from sides
    group by all
),

charged as (
    select sum(effective_cost_usd) as usd from {{ ref('fct_statement_lines') }}
    union all
    select -sum(effective_cost_usd) from {{ ref('fct_cost_ledger') }}
    where allocation_step = 'accrual' or provider_name = 'wattledger'
    union all
    select -sum(charged_cost_usd) from {{ ref('fct_invoice_bridge') }}
    where step = 'billed'
)

select
    provider_name,
    invoice_id,
    charged_gap_usd,
    step_gap_usd,
    payable_gap_usd,
    local_gap
from gaps
where charged_gap_usd != 0 or step_gap_usd != 0 or payable_gap_usd != 0 or local_gap != 0
union all
select
    'all',
    null,
    sum(usd),
    null,
    null,
    null
from charged
having sum(usd) != 0
