-- Ledger rows whose edges do not add up to them, and charges whose shares do not add up to 1.
{{ config(meta={'dagster': {'ref': {'name': 'fct_allocation_edges'}}}) }}
with edges_of_rows as (
    select
        ledger_row_id,
        {{ costs(usd_sum('$') ~ ' as $') }}
    from {{ ref('fct_allocation_edges') }}
    group by ledger_row_id
),

rows_that_differ as (
    select coalesce(ledger.ledger_row_id, edges_of_rows.ledger_row_id) as broken_key
    from {{ ref('fct_cost_ledger') }} as ledger
    full outer join edges_of_rows on ledger.ledger_row_id = edges_of_rows.ledger_row_id
    where
        ledger.ledger_row_id is null
        or {{ costs('ledger.$ is distinct from edges_of_rows.$', joint='or') }}
),

charges_that_differ as (
    select charge_key as broken_key
    from {{ ref('fct_allocation_edges') }}
    group by charge_key
    having coalesce(sum(share_of_charge), 1) != 1
)

select broken_key from rows_that_differ
union all
select broken_key from charges_that_differ
