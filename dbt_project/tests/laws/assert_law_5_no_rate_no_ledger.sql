-- Law 5: a slice without an exchange rate is held back whole - in no ledger row, and in reconciliation in its own
-- currency with null USD, never 0.
{{ config(meta={'dagster': {'ref': {'name': 'fct_reconciliation'}}}) }}
with held_back as (
    select
        provider_name,
        billing_account_id,
        billing_period_start_date,
        source_name
    from {{ ref('int_charges__slices') }}
    group by 1, 2, 3, 4
    having count(*) filter (where is_admitted) = 0
),

leaked as (
    select
        held_back.provider_name,
        'in the ledger' as found
    from held_back
    inner join {{ ref('fct_cost_ledger') }} as ledger
        on
            held_back.source_name = ledger.source_name
            and held_back.provider_name = ledger.provider_name
            and held_back.billing_account_id = ledger.billing_account_id
            and held_back.billing_period_start_date = ledger.billing_period_start_date
),

zeroed as (
    select
        provider_name,
        'USD without a rate' as found
    from {{ ref('fct_reconciliation') }}
    where step = 'held_back' and (billed_cost_usd is not null or billed_cost_local is null)
)

select * from leaked
union all
select * from zeroed
