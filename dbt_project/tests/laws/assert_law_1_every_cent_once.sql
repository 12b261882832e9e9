-- Law 1: per provider, account, billing period and cost basis the ledger sums to the source's charges, read losslessly
-- and rounded once per source and currency. Computed beside the chain: from the delivered lines, the register of owned
-- hardware and the GPU's own energy. What no bill covers (accruals) is none of it, nor is a slice with a line of a
-- billion USD or more, which is held back whole.
{{ config(meta={'dagster': {'ref': {'name': 'fct_cost_ledger'}}}) }}
with delivered as (
    select
        charges.source_name,
        charges.provider_name,
        charges.billing_account_id,
        charges.billing_period_start_date,
        charges.currency_code,
        max(greatest({{ costs('abs(coalesce(charges.$, 0))', unit='local') }})) as largest_cost_local,
        {{ costs('sum(charges.$) as $', unit='local') }}
    from {{ ref('int_charges__provider_lines') }} as charges
    group by all
),

own as (
    select
        billing_account_id,
        billing_period_start_date,
        billed_cost_local as own_cost_usd
    from {{ ref('int_charges__owned_lines') }}
    union all
    select
        facility_id,
        cast(date_trunc('month', usage_date) as date),
        energy_cost_usd
    from {{ ref('int_gpu__energy_costs') }}
    where power_source = 'measured' and energy_cost_usd is not null
),

charged as (
    select
        delivered.provider_name,
        delivered.billing_account_id,
        delivered.billing_period_start_date,
        {{ costs('sum(' ~ convert_usd('delivered.@_local', 'coalesce(rates.usd_per_unit, 1)') ~ ') as $') }}
    from delivered
    left join {{ ref('stg_config__fx_rates') }} as rates
        on
            delivered.currency_code = rates.currency_code
            and rates.to_currency_code = 'USD'
            and {{ is_valid_on('rates', 'delivered.billing_period_start_date') }}
    where
        (delivered.currency_code = 'USD' or rates.usd_per_unit is not null)
        and {{ or_null(convert_usd('delivered.largest_cost_local', 'coalesce(rates.usd_per_unit, 1)')) }} < 1000000000
    group by 1, 2, 3
    union all
    select
        'owned',
        billing_account_id,
        billing_period_start_date,
        sum(own_cost_usd),
        sum(own_cost_usd),
        null,
        null
    from own
    group by 2, 3
),

expected as (
    select
        provider_name,
        billing_account_id,
        billing_period_start_date,
        {{ costs('sum($) as $') }}
    from charged
    group by 1, 2, 3
),

allocated as (
    select
        provider_name,
        billing_account_id,
        billing_period_start_date,
        {{ costs('sum($) as $') }}
    from {{ ref('fct_cost_ledger') }}
    where allocation_step != 'accrual'
    group by 1, 2, 3
)

select
    coalesce(expected.provider_name, allocated.provider_name) as provider_name,
    coalesce(expected.billing_account_id, allocated.billing_account_id) as billing_account_id,
    coalesce(expected.billing_period_start_date, allocated.billing_period_start_date) as billing_period_start_date,
    {{ costs('expected.$ as expected_$') }},
    {{ costs('allocated.$ as allocated_$') }}
from expected
full outer join allocated
    on
        expected.provider_name = allocated.provider_name
        and expected.billing_account_id = allocated.billing_account_id
        and expected.billing_period_start_date = allocated.billing_period_start_date
where
    {{ costs('coalesce(expected.$, 0) != coalesce(allocated.$, 0)', joint='or') }}
