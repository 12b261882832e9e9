-- Law 1 for invoices: what the charge lines bill, and what they cost effectively, is what the invoice's own lines ask
-- for, per provider, account and month, to the last place.
{{ config(meta={'dagster': {'ref': {'name': 'int_charges__invoice_lines'}}}) }}

{%- set bill = 'source_name, provider_name, billing_account_id, billing_period_start_date, currency_code' %}

with sides as (
    select
        {{ bill }},
        billed_cost_local,
        billed_cost_local as effective_cost_local
    from {{ ref('stg_invoice_csv__lines') }}
    union all
    select
        {{ bill }},
        -billed_cost_local,
        -effective_cost_local
    from {{ ref('int_charges__invoice_lines') }}
)

select
    {{ bill }},
    sum(billed_cost_local) as billed_gap_local,
    sum(effective_cost_local) as effective_gap_local
from sides
group by {{ bill }}
having sum(billed_cost_local) != 0 or sum(effective_cost_local) != 0
