-- One row per provider, account, billing period, currency and cause of admitted slices: what the ledger's dated
-- exchange rate makes more or less than the invoice's own. FOCUS states what a line costs in the currency it was priced
-- in: where that is USD and the bill's is not, the invoice has a rate; rows of Google Cloud's export name theirs. Where
-- there is none, or several, the effect is null: not known.
{{ config(rebuild_touched('billing_period_start_date')) }}

with stated as (
    select
        source_name,
        provider_name,
        billing_account_id,
        billing_period_start_date,
        currency_code,
        sum(effective_cost_local) as effective_cost_local,
        sum(pricing_effective_cost_local) as stated_cost_usd
    from {{ ref('stg_focus__charges') }}
    where
        pricing_currency_code = 'USD'
        and pricing_effective_cost_local is not null
        and effective_cost_local is not null
        and billing_period_start_date in (
            select billing_period_start_date from {{ source('build', 'touched_periods') }}
        )
    group by all
),

rates as (
    select
        source_name,
        billing_account_id,
        billing_period_start_date,
        currency_code,
        max(units_per_usd) as units_per_usd
    from {{ ref('stg_gcp_billing__line_items') }}
    where
        billing_period_start_date in (select billing_period_start_date from {{ source('build', 'touched_periods') }})
    group by all
    having min(units_per_usd) = max(units_per_usd) and count(units_per_usd) = count(*) and min(units_per_usd) > 0
),

slices as (
    select
        slices.*,
        slices.currency_code = 'USD' as is_billed_in_usd,
        case
            when rates.units_per_usd is not null
                then {{ share_of_usd('slices.effective_cost_local', '1', 'rates.units_per_usd') }}
            else stated.stated_cost_usd
        end as stated_cost_usd,
        case
            when rates.units_per_usd is not null then slices.effective_cost_local
            else coalesce(stated.effective_cost_local, 0)
        end as stated_cost_local
    from {{ ref('int_charges__slices') }} as slices
    left join stated
        on
            slices.source_name = stated.source_name
            and slices.provider_name = stated.provider_name
            and slices.billing_account_id = stated.billing_account_id
            and slices.billing_period_start_date = stated.billing_period_start_date
            and slices.currency_code = stated.currency_code
    left join rates
        on
            slices.source_name = rates.source_name
            and slices.billing_account_id = rates.billing_account_id
            and slices.billing_period_start_date = rates.billing_period_start_date
            and slices.currency_code = rates.currency_code
    where
        slices.is_admitted
        and slices.billing_period_start_date in (
            select billing_period_start_date from {{ source('build', 'touched_periods') }}
        )
),

effects as (
    select
        *,
        'billed_in_usd' as cause,
        effective_cost_local as covered_cost_local,
        cast(0 as decimal(38, 9)) as fx_effect_usd
    from slices
    where is_billed_in_usd
    union all
    select
        *,
        'invoice_states_usd',
        stated_cost_local,
        {{ convert_usd('stated_cost_local', 'usd_per_unit') }} - {{ convert_usd('stated_cost_usd', '1') }}
    from slices
    where not is_billed_in_usd and stated_cost_usd is not null
    union all
    select
        *,
        'invoice_states_no_usd',
        effective_cost_local - stated_cost_local,
        null
    from slices
    where not is_billed_in_usd and (stated_cost_usd is null or effective_cost_local != stated_cost_local)
)

select
    provider_name,
    billing_account_id,
    currency_code,
    cause,
    cast(sum(fx_effect_usd) as decimal(38, 9)) as fx_effect_usd,
    cast(sum(covered_cost_local) as decimal(38, 18)) as covered_cost_local,
    billing_period_start_date
from effects
group by all
