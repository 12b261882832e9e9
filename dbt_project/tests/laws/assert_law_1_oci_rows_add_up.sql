-- Law 1 for bills of Oracle Cloud: what the charge lines bill, and what they cost effectively, is what the rows of the
-- cost reports ask for, per tenancy and month, to the last place; but for bills that came as FOCUS too.
{{ config(meta={'dagster': {'ref': {'name': 'int_charges__oci_lines'}}}) }}

{%- set bill = 'source_name, billing_account_id, billing_period_start_date, currency_code' %}

with sides as (
    select
        {{ bill }},
        billed_cost_local,
        billed_cost_local as effective_cost_local
    from {{ ref('stg_oci_cost__line_items') }} as items
    where
        not exists (
            select 1 from {{ ref('int_charges__set_aside') }} as aside
            where
                aside.provider_name = 'Oracle'
                and aside.billing_account_id = items.billing_account_id
                and aside.billing_period_start_date = items.billing_period_start_date
        )
    union all
    select
        {{ bill }},
        -billed_cost_local,
        -effective_cost_local
    from {{ ref('int_charges__oci_lines') }}
)

select
    {{ bill }},
    sum(billed_cost_local) as billed_gap_local,
    sum(effective_cost_local) as effective_gap_local
from sides
group by {{ bill }}
having sum(billed_cost_local) != 0 or sum(effective_cost_local) != 0
