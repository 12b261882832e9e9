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
        {{ costs(convert_usd('@_local', 'usd_per_unit') ~ ' as $') }},
        {{ costs(unit='local') }}
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
        {{ costs() }},
        {{ costs('-$ as $', unit='local') }}
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
    {{ costs('sum($) as $') }},
    {{ costs('sum($) as $', unit='local') }}
from steps
group by all
