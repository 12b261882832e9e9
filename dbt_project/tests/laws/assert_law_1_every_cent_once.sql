-- Law 1: per provider, account, billing period and cost basis the ledger sums to the source's charges, read losslessly
-- and rounded once per source and currency. Computed from the delivered lines alone, beside the chain.
{{ config(meta={'dagster': {'ref': {'name': 'fct_cost_ledger'}}}) }}
with delivered as (
    select
        charges.source_name,
        charges.provider_name,
        charges.billing_account_id,
        charges.billing_period_start_date,
        charges.currency_code,
        sum(charges.billed_cost_local) as billed_cost_local,
        sum(charges.effective_cost_local) as effective_cost_local,
        sum(charges.list_cost_local) as list_cost_local
    from {{ ref('stg_focus__charges') }} as charges
    group by all
),

expected as (
    select
        delivered.provider_name,
        delivered.billing_account_id,
        delivered.billing_period_start_date,
        sum({{ convert_usd('delivered.billed_cost_local', 'coalesce(rates.usd_per_unit, 1)') }}) as billed_cost_usd,
        sum({{ convert_usd('delivered.effective_cost_local', 'coalesce(rates.usd_per_unit, 1)') }})
            as effective_cost_usd,
        sum({{ convert_usd('delivered.list_cost_local', 'coalesce(rates.usd_per_unit, 1)') }}) as list_cost_usd
    from delivered
    left join {{ ref('stg_config__fx_rates') }} as rates
        on
            delivered.currency_code = rates.currency_code
            and rates.to_currency_code = 'USD'
            and {{ is_valid_on('rates', 'delivered.billing_period_start_date') }}
    where delivered.currency_code = 'USD' or rates.usd_per_unit is not null
    group by 1, 2, 3
),

allocated as (
    select
        provider_name,
        billing_account_id,
        billing_period_start_date,
        sum(billed_cost_usd) as billed_cost_usd,
        sum(effective_cost_usd) as effective_cost_usd,
        sum(list_cost_usd) as list_cost_usd
    from {{ ref('fct_cost_ledger') }}
    group by 1, 2, 3
)

select
    coalesce(expected.provider_name, allocated.provider_name) as provider_name,
    coalesce(expected.billing_account_id, allocated.billing_account_id) as billing_account_id,
    coalesce(expected.billing_period_start_date, allocated.billing_period_start_date) as billing_period_start_date,
    expected.billed_cost_usd as expected_billed_cost_usd,
    allocated.billed_cost_usd as allocated_billed_cost_usd,
    expected.effective_cost_usd as expected_effective_cost_usd,
    allocated.effective_cost_usd as allocated_effective_cost_usd,
    expected.list_cost_usd as expected_list_cost_usd,
    allocated.list_cost_usd as allocated_list_cost_usd
from expected
full outer join allocated
    on
        expected.provider_name = allocated.provider_name
        and expected.billing_account_id = allocated.billing_account_id
        and expected.billing_period_start_date = allocated.billing_period_start_date
where
    expected.billed_cost_usd is distinct from allocated.billed_cost_usd
    or expected.effective_cost_usd is distinct from allocated.effective_cost_usd
    or expected.list_cost_usd is distinct from allocated.list_cost_usd
