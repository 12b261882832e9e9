-- One row per provider and month: how much of its bill for models nobody can explain, and how much may stay so.
-- Scopes do not cancel: one model's excess is no other's explanation.
with residuals as (
    select
        provider_name,
        month_start_date,
        coalesce({{ usd_sum("case when cause = 'unknown' then abs(variance_usd) end") }}, 0) as residual_usd
    from {{ ref('int_tokens__bill_variances') }}
    group by provider_name, month_start_date
),

bills as (
    select
        provider_name,
        month_start_date,
        {{ usd_sum('abs(effective_cost_usd)') }} as bill_usd
    from {{ ref('int_tokens__bill_steps') }}
    where step = 'model_bill'
    group by provider_name, month_start_date
)

select
    residuals.provider_name,
    residuals.month_start_date,
    residuals.residual_usd,
    greatest(cast(1 as decimal(38, 9)), {{ from_nano(integer_div(nano_usd('bills.bill_usd'), '1000')) }}) as allowed_usd
from residuals
inner join bills
    on
        residuals.provider_name = bills.provider_name
        and residuals.month_start_date = bills.month_start_date
