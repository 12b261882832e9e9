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
        {{ costs('sum($) as $', unit='local') }},
        {{ costs(usd_sum('$') ~ ' as $') }}
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
        usd_per_unit,
        {{ costs(convert_usd('@_local', 'usd_per_unit') ~ ' - $ as $') }}
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
    currency_code,
    usd_per_unit,
    md5(concat_ws('|', {{ costs("coalesce(cast($ as string), '~')") }})) as charge_version,
    {{ costs(usd('$') ~ ' as $') }}
from residuals
where {{ costs('$ != 0', joint='or') }}
