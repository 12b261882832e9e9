-- One row per source, account, billing period and currency whose rows, rounded one by one, do not add up to the total
-- rounded once: the nano-dollars that are left, signed.
with groups_of_slice as (
    select
        source_name,
        provider_name,
        billing_account_id,
        billing_period_start_date,
        currency_code,
        max(usd_per_unit) as usd_per_unit,
        sum(billed_cost_local) as billed_cost_local,
        sum(effective_cost_local) as effective_cost_local,
        sum(list_cost_local) as list_cost_local,
        {{ usd_sum('billed_cost_usd') }} as billed_cost_usd,
        {{ usd_sum('effective_cost_usd') }} as effective_cost_usd,
        {{ usd_sum('list_cost_usd') }} as list_cost_usd
    from {{ ref('int_charges__groups') }}
    where is_admitted
    group by 1, 2, 3, 4, 5
),

residuals as (
    select
        source_name,
        provider_name,
        billing_account_id,
        billing_period_start_date,
        currency_code,
        {{ convert_usd('billed_cost_local', 'usd_per_unit') }} - billed_cost_usd as billed_cost_usd,
        {{ convert_usd('effective_cost_local', 'usd_per_unit') }} - effective_cost_usd as effective_cost_usd,
        {{ convert_usd('list_cost_local', 'usd_per_unit') }} - list_cost_usd as list_cost_usd
    from groups_of_slice
)

select
    md5(concat_ws(
        '|',
        'rounding',
        source_name,
        provider_name,
        billing_account_id,
        cast(billing_period_start_date as string),
        coalesce(currency_code, '~')
    )) as charge_key,
    source_name,
    provider_name,
    billing_account_id,
    billing_period_start_date,
    {{ usd('billed_cost_usd') }} as billed_cost_usd,
    {{ usd('effective_cost_usd') }} as effective_cost_usd,
    {{ usd('list_cost_usd') }} as list_cost_usd
from residuals
where billed_cost_usd != 0 or effective_cost_usd != 0 or list_cost_usd != 0
