-- Law 1 for bills of Google Cloud: what the lines bill, and what they cost effectively, is what the export's own rows
-- and their credits add up to, per billing account and invoice month, to the last place. Credits never multiply a row.
{{ config(meta={'dagster': {'ref': {'name': 'int_charges__gcp_lines'}}}) }}

{%- set bill = 'source_name, billing_account_id, billing_period_start_date, currency_code' %}

with sides as (
    select
        {{ bill }},
        gross_cost_local as billed_cost_local,
        gross_cost_local as effective_cost_local,
        list_cost_local
    from {{ ref('stg_gcp_billing__line_items') }}
    union all
    select
        {{ bill }},
        credit_local,
        credit_local,
        null
    from {{ ref('stg_gcp_billing__credits') }}
    union all
    select
        {{ bill }},
        -billed_cost_local,
        -effective_cost_local,
        -list_cost_local
    from {{ ref('int_charges__gcp_lines') }}
)

select
    {{ bill }},
    sum(billed_cost_local) as billed_gap_local,
    sum(effective_cost_local) as effective_gap_local,
    sum(list_cost_local) as list_gap_local
from sides
where
    not exists (
        select 1 from {{ ref('stg_focus__charges') }} as focus
        where
            focus.provider_name = 'Google Cloud'
            and focus.billing_account_id = sides.billing_account_id
            and focus.billing_period_start_date = sides.billing_period_start_date
    )
group by {{ bill }}
having sum(billed_cost_local) != 0 or sum(effective_cost_local) != 0 or sum(list_cost_local) != 0
