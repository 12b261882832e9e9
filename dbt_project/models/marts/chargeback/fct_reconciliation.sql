-- One row per provider, account, billing period, currency, step and cause: why delivered and allocated differ.
with slices as (
    select * from {{ ref('int_charges__slices') }}
),

delivered as (
    select
        provider_name,
        billing_account_id,
        billing_period_start_date,
        currency_code,
        1 as step_number,
        'delivered' as step,
        case when is_admitted then 'rate_known' when currency_code is null then 'no_currency' else 'no_fx_rate' end
            as cause,
        {{ convert_usd('billed_cost_local', 'usd_per_unit') }} as billed_cost_usd,
        {{ convert_usd('effective_cost_local', 'usd_per_unit') }} as effective_cost_usd,
        {{ convert_usd('list_cost_local', 'usd_per_unit') }} as list_cost_usd,
        billed_cost_local,
        effective_cost_local,
        list_cost_local
    from slices
),

held_back as (
    select
        provider_name,
        billing_account_id,
        billing_period_start_date,
        currency_code,
        2 as step_number,
        'held_back' as step,
        cause,
        cast(null as decimal(38, 9)) as billed_cost_usd,
        cast(null as decimal(38, 9)) as effective_cost_usd,
        cast(null as decimal(38, 9)) as list_cost_usd,
        -billed_cost_local as billed_cost_local,
        -effective_cost_local as effective_cost_local,
        -list_cost_local as list_cost_local
    from delivered
    where cause != 'rate_known'
),

allocated as (
    select
        provider_name,
        billing_account_id,
        billing_period_start_date,
        'USD' as currency_code,
        3 as step_number,
        'allocated' as step,
        allocation_step as cause,
        {{ usd_sum('billed_cost_usd') }} as billed_cost_usd,
        {{ usd_sum('effective_cost_usd') }} as effective_cost_usd,
        {{ usd_sum('list_cost_usd') }} as list_cost_usd,
        cast(null as decimal(38, 18)) as billed_cost_local,
        cast(null as decimal(38, 18)) as effective_cost_local,
        cast(null as decimal(38, 18)) as list_cost_local
    from {{ ref('fct_cost_ledger') }}
    group by provider_name, billing_account_id, billing_period_start_date, allocation_step
),

residual as (
    select
        provider_name,
        billing_account_id,
        billing_period_start_date,
        'USD' as currency_code,
        4 as step_number,
        'residual' as step,
        'delivered_minus_allocated' as cause,
        sum(case when step = 'delivered' then billed_cost_usd else -billed_cost_usd end) as billed_cost_usd,
        sum(case when step = 'delivered' then effective_cost_usd else -effective_cost_usd end) as effective_cost_usd,
        sum(case when step = 'delivered' then list_cost_usd else -list_cost_usd end) as list_cost_usd,
        cast(null as decimal(38, 18)) as billed_cost_local,
        cast(null as decimal(38, 18)) as effective_cost_local,
        cast(null as decimal(38, 18)) as list_cost_local
    from (
        select * from delivered
        where cause = 'rate_known'
        union all
        select * from allocated
    ) as both_sides
    group by provider_name, billing_account_id, billing_period_start_date
),

steps as (
    select * from delivered
    union all
    select * from held_back
    union all
    select * from allocated
    union all
    select * from residual
)

select
    provider_name,
    billing_account_id,
    billing_period_start_date,
    step_number,
    step,
    cause,
    currency_code,
    cast(sum(billed_cost_usd) as decimal(38, 9)) as billed_cost_usd,
    cast(sum(effective_cost_usd) as decimal(38, 9)) as effective_cost_usd,
    cast(sum(list_cost_usd) as decimal(38, 9)) as list_cost_usd,
    cast(sum(billed_cost_local) as decimal(38, 18)) as billed_cost_local,
    cast(sum(effective_cost_local) as decimal(38, 18)) as effective_cost_local,
    cast(sum(list_cost_local) as decimal(38, 18)) as list_cost_local
from steps
group by all
