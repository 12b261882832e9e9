-- One row per provider, account, billing period, currency, step and cause: why delivered, allocated and calculated
-- differ.
with delivered as (
    select * from {{ ref('int_charges__delivered_steps') }}
),

allocated as (
    select
        provider_name,
        billing_account_id,
        billing_period_start_date,
        3 as step_number,
        'allocated' as step,
        allocation_step as cause,
        {{ costs(usd_sum('$') ~ ' as $') }}
    from {{ ref('fct_cost_ledger') }}
    group by all
),

both_sides as (
    select
        provider_name,
        billing_account_id,
        billing_period_start_date,
        {{ costs() }}
    from delivered
    where step = 'delivered' and cause = 'rate_known'
    union all
    select
        provider_name,
        billing_account_id,
        billing_period_start_date,
        {{ costs('-$') }}
    from allocated
),

residual as (
    select
        provider_name,
        billing_account_id,
        billing_period_start_date,
        4 as step_number,
        'residual' as step,
        'delivered_minus_allocated' as cause,
        {{ costs('sum($) as $') }}
    from both_sides
    group by all
),

-- The gateway knows a provider's traffic, not which of its accounts is billed for it; what a project's own rule owns
-- never passed through it.
model_bills as (
    select
        provider_name,
        billing_period_start_date,
        {{ usd_sum('effective_cost_usd') }} as effective_cost_usd
    from {{ ref('fct_cost_ledger') }}
    where cost_pool = 'llm_api' and allocation_step != 'direct'
    group by all
),

gateway as (
    select
        model_bills.provider_name,
        'all accounts' as billing_account_id,
        model_bills.billing_period_start_date,
        model_bills.effective_cost_usd,
        provider_months.calculated_cost_usd
    from model_bills
    inner join {{ ref('int_tokens__provider_months') }} as provider_months
        on
            model_bills.provider_name = provider_months.provider_name
            and model_bills.billing_period_start_date = provider_months.month_start_date
),

in_usd as (
    select * from allocated
    union all
    select * from residual
    union all
    select
        provider_name,
        billing_account_id,
        billing_period_start_date,
        5,
        'gateway_priced',
        'tokens_at_the_price_book',
        null,
        calculated_cost_usd,
        null,
        null
    from gateway
    union all
    select
        provider_name,
        billing_account_id,
        billing_period_start_date,
        6,
        'gateway_variance',
        'billed_minus_gateway_priced',
        null,
        effective_cost_usd - calculated_cost_usd,
        null,
        null
    from gateway
),

steps as (
    select * from delivered
    union all
    select
        provider_name,
        billing_account_id,
        billing_period_start_date,
        step_number,
        step,
        cause,
        'USD',
        {{ costs() }},
        null,
        null,
        null,
        null
    from in_usd
)

select
    provider_name,
    billing_account_id,
    billing_period_start_date,
    step_number,
    step,
    cause,
    currency_code,
    {{ costs('cast($ as decimal(38, 9)) as $') }},
    {{ costs('cast($ as decimal(38, 18)) as $', unit='local') }}
from steps
