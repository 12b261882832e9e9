-- One row per provider, account, billing period, currency, step and cause: how what was delivered became what is
-- allocated, and what the gateway calculated became what the provider billed for models.
with delivered as (
    select * from {{ ref('int_charges__delivered_steps') }}
),

allocated as (
    select
        provider_name,
        billing_account_id,
        billing_period_start_date,
        3 as step_number,
        -- What no bill covers is no part of what one is allocated to.
        case when allocation_step = 'accrual' then 'accrued' else 'allocated' end as step,
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
    where step = 'allocated'
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

model_steps as (
    select * from {{ ref('int_tokens__bill_steps') }}
    union all
    select * from {{ ref('int_tokens__provider_steps') }}
),

in_usd as (
    select * from allocated
    union all
    select * from residual
    union all
    select
        provider_name,
        billing_account_id,
        month_start_date,
        step_number,
        step,
        cause,
        billed_cost_usd,
        effective_cost_usd,
        null,
        null
    from model_steps
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
