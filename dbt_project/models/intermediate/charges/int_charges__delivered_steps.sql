-- One row per provider, account, billing period, currency, step and cause: what was delivered, what of it is held back
-- for want of an exchange rate, and what of it is the rate's. A slice held back has null USD, never 0.
with delivered as (
    select
        provider_name,
        billing_account_id,
        billing_period_start_date,
        1 as step_number,
        'delivered' as step,
        case
            when is_admitted then 'rate_known'
            when currency_code is null then 'no_currency'
            when currency_code = 'USD' or fx_rate_source is not null then 'amount_too_large'
            else 'no_fx_rate'
        end as cause,
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

-- Energy of a facility whose power is measured, in hours that have no cost: no charge, never 0.
not_charged as (
    select distinct
        'owned' as provider_name,
        facility_id as billing_account_id,
        cast(date_trunc('month', usage_date) as date) as billing_period_start_date,
        2 as step_number,
        'not_charged' as step,
        missing_reason as cause,
        'USD' as currency_code,
        {{ costs('cast(null as decimal(38, 9)) as $') }},
        {{ costs('cast(null as decimal(38, 18)) as $', unit='local') }}
    from {{ ref('int_gpu__energy_costs') }}
    where power_source = 'measured' and energy_cost_usd is null
),

-- A bill that came as FOCUS too: that is the one that counts.
set_aside as (
    select
        provider_name,
        billing_account_id,
        billing_period_start_date,
        2 as step_number,
        'set_aside' as step,
        'delivered_as_focus' as cause,
        currency_code,
        {{ costs('cast(null as decimal(38, 9)) as $') }},
        billed_cost_local,
        cast(null as decimal(38, 18)) as effective_cost_local,
        list_cost_local,
        cast(null as decimal(38, 18)) as contracted_cost_local
    from {{ ref('int_charges__set_aside') }}
),

-- Of effective cost alone does an invoice say what it is in another currency.
fx_effects as (
    select
        provider_name,
        billing_account_id,
        billing_period_start_date,
        2 as step_number,
        'fx_effect' as step,
        cause,
        currency_code,
        cast(case when cause = 'billed_in_usd' then 0 end as decimal(38, 9)) as billed_cost_usd,
        fx_effect_usd as effective_cost_usd,
        cast(null as decimal(38, 9)) as list_cost_usd,
        cast(null as decimal(38, 9)) as contracted_cost_usd,
        cast(null as decimal(38, 18)) as billed_cost_local,
        covered_cost_local as effective_cost_local,
        cast(null as decimal(38, 18)) as list_cost_local,
        cast(null as decimal(38, 18)) as contracted_cost_local
    from {{ ref('int_charges__fx_effects') }}
),

steps as (
    select * from delivered
    union all
    select * from fx_effects
    union all
    select * from held_back
    union all
    select * from not_charged
    union all
    select * from set_aside
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
