-- One row per billing period, provider, account, invoice, currency and step: from what statements charge to what the
-- invoice says. What no bill covers (accruals, wattledger's own zero-sum entries) is on no invoice.
with postings as (
    select
        charge_key,
        billing_period_start_date,
        provider_name,
        billing_account_id,
        invoice_id,
        case
            when posting_cause = 'fx' then 'fx'
            when cost_pool = 'rounding' then 'rounding'
            when charge_category = 'Tax' then 'tax'
            when charge_category in ('Credit', 'Adjustment') then 'credits'
            when charge_category = 'Purchase' then 'commitments_bought'
            else 'commitments_amortised'
        end as step,
        {{ usd_sum('effective_cost_usd') }} as effective_cost_usd,
        {{ usd_sum('billed_cost_usd') }} as billed_cost_usd
    from {{ ref('fct_cost_ledger') }}
    where allocation_step != 'accrual' and provider_name != 'wattledger'
    group by all
),

-- A group that a later delivery took back has no line any more; what it still has in the ledger must be seen.
invoiced as (
    select
        postings.*,
        invoices.currency_code,
        postings.step in ('commitments_bought', 'commitments_amortised') as is_charged_as_used
    from postings
    left join {{ ref('int_charges__invoices') }} as invoices on postings.charge_key = invoices.charge_key
    where
        invoices.charge_key is not null
        or postings.effective_cost_usd != 0
        or postings.billed_cost_usd != 0
),

{%- set invoice = 'billing_period_start_date, provider_name, billing_account_id, invoice_id, currency_code' %}

steps as (
    select
        {{ invoice }},
        'charged' as step,
        effective_cost_usd as charged_cost_usd,
        effective_cost_usd as step_cost_usd,
        cast(null as decimal(38, 18)) as payable_cost_local
    from invoiced
    where is_charged_as_used
    union all
    select
        {{ invoice }},
        step,
        case when is_charged_as_used then 0 else effective_cost_usd end,
        case when is_charged_as_used then billed_cost_usd - effective_cost_usd else billed_cost_usd end,
        null
    from invoiced
    union all
    select
        {{ invoice }},
        'billed',
        effective_cost_usd,
        billed_cost_usd,
        null
    from invoiced
    union all
    select
        {{ invoice }},
        'payable',
        null,
        billed_cost_usd,
        billed_cost_local
    from {{ ref('int_charges__invoices') }}
    where provider_name != 'wattledger'
),

summed as (
    select
        {{ invoice }},
        step,
        sum(charged_cost_usd) as charged_cost_usd,
        sum(step_cost_usd) as step_cost_usd,
        sum(payable_cost_local) as payable_cost_local
    from steps
    group by all
)

select
    billing_period_start_date,
    provider_name,
    billing_account_id,
    invoice_id,
    currency_code,
    case step
        when 'charged' then 1
        when 'commitments_bought' then 2
        when 'commitments_amortised' then 3
        when 'tax' then 4
        when 'credits' then 5
        when 'fx' then 6
        when 'rounding' then 7
        when 'billed' then 8
        else 9
    end as step_number,
    step,
    cast(charged_cost_usd as decimal(38, 9)) as charged_cost_usd,
    cast(step_cost_usd as decimal(38, 9)) as step_cost_usd,
    cast(payable_cost_local as decimal(38, 18)) as payable_cost_local
from summed
where step in ('billed', 'payable') or charged_cost_usd != 0 or step_cost_usd != 0
