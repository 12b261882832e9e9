-- One row per provider, account, billing period, currency, step and cause: what was delivered, and what of it is held
-- back for want of an exchange rate. A slice held back has null USD, never 0.
with delivered as (
    select
        provider_name,
        billing_account_id,
        billing_period_start_date,
        1 as step_number,
        'delivered' as step,
        case when is_admitted then 'rate_known' when currency_code is null then 'no_currency' else 'no_fx_rate' end
            as cause,
        currency_code,
        {{ convert_usd('billed_cost_local', 'usd_per_unit') }} as billed_cost_usd,
        {{ convert_usd('effective_cost_local', 'usd_per_unit') }} as effective_cost_usd,
        {{ convert_usd('list_cost_local', 'usd_per_unit') }} as list_cost_usd,
        billed_cost_local,
        effective_cost_local,
        list_cost_local
    from {{ ref('int_charges__slices') }}
),

held_back as (
    select
        provider_name,
        billing_account_id,
        billing_period_start_date,
        2 as step_number,
        'held_back' as step,
        cause,
        currency_code,
        billed_cost_usd,
        effective_cost_usd,
        list_cost_usd,
        -billed_cost_local as billed_cost_local,
        -effective_cost_local as effective_cost_local,
        -list_cost_local as list_cost_local
    from delivered
    where cause != 'rate_known'
),

steps as (
    select * from delivered
    union all
    select * from held_back
)

select
    provider_name,
    billing_account_id,
    billing_period_start_date,
    step_number,
    step,
    cause,
    currency_code,
    sum(billed_cost_usd) as billed_cost_usd,
    sum(effective_cost_usd) as effective_cost_usd,
    sum(list_cost_usd) as list_cost_usd,
    sum(billed_cost_local) as billed_cost_local,
    sum(effective_cost_local) as effective_cost_local,
    sum(list_cost_local) as list_cost_local
from steps
group by all
