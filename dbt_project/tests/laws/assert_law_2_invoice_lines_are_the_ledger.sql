-- Charges whose delivered lines the ledger does not hold, to the half nano-dollar that rounding line by line may take,
-- and slices of a bill whose lines are not all there.
{{ config(meta={'dagster': {'ref': {'name': 'fct_invoice_lines'}}}) }}
with lines as (
    select
        charge_key,
        count(*) as line_count,
        {{ costs(usd_sum('$') ~ ' as $') }}
    from {{ ref('fct_invoice_lines') }}
    where usd_per_unit is not null
    group by charge_key
),

charges as (
    select
        charge_key,
        {{ costs(usd_sum('$') ~ ' as $') }}
    from {{ ref('fct_cost_ledger') }}
    group by charge_key
),

charges_that_differ as (
    select lines.charge_key as broken_key
    from lines
    left join charges on lines.charge_key = charges.charge_key
    where
        charges.charge_key is null
        or {{ costs(
            'abs(coalesce(lines.$, 0) - coalesce(charges.$, 0)) > 0.000000001 * lines.line_count', joint='or'
        ) }}
),

line_counts as (
    select
        source_name,
        billing_period_start_date,
        charge_line_count as line_count
    from {{ ref('int_charges__slices') }}
    union all
    select
        source_name,
        billing_period_start_date,
        -1
    from {{ ref('fct_invoice_lines') }}
),

slices_that_differ as (
    select source_name as broken_key
    from line_counts
    group by source_name, billing_period_start_date
    having sum(line_count) != 0
)

select broken_key from charges_that_differ
union all
select broken_key from slices_that_differ
