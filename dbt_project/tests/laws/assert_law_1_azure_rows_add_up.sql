-- Law 1 for bills of Azure: what the lines bill is what the actual view asks for (the amortised one where it came
-- alone), and what they cost effectively is that with the commitments of the amortised view in place of what was paid
-- for them; per billing account and period, to the last place.
{{ config(meta={'dagster': {'ref': {'name': 'int_charges__azure_lines'}}}) }}

{%- set bill = 'billing_account_id, billing_period_start_date, currency_code' %}

with views as (
    select
        items.*,
        bills.bill_view,
        bills.has_actual,
        bills.has_amortized
    from {{ ref('stg_azure_cost__line_items') }} as items
    inner join {{ ref('int_charges__azure_bills') }} as bills
        on
            items.source_name = bills.source_name
            and items.export_view = bills.export_view
            and items.billing_account_id is not distinct from bills.billing_account_id
            and items.billing_period_start_date = bills.billing_period_start_date
    where bills.is_counted
),

sides as (
    select
        {{ bill }},
        case when bill_view = 'actual' or not has_actual then cost_local else 0 end as billed_cost_local,
        case
            when not (has_actual and has_amortized) then cost_local
            when bill_view = 'actual' and is_commitment and charge_type in ('purchase', 'refund') then 0
            when bill_view = 'actual' then cost_local
            when is_commitment and charge_type not in ('purchase', 'refund') then cost_local
            else 0
        end as effective_cost_local
    from views
    union all
    select
        {{ bill }},
        -billed_cost_local,
        -effective_cost_local
    from {{ ref('int_charges__azure_lines') }}
)

select
    {{ bill }},
    sum(billed_cost_local) as billed_gap_local,
    sum(effective_cost_local) as effective_gap_local
from sides
group by {{ bill }}
having sum(billed_cost_local) != 0 or sum(effective_cost_local) != 0
