-- Actual and amortised cost are two views of one bill: what no commitment covers is the same in both. Where it is not,
-- one of the two exports is older, or of another scope; the actual one is charged.
{{ config(severity='warn', meta={'dagster': {'ref': {'name': 'int_charges__azure_bills'}}}) }}

select
    items.billing_account_id,
    items.billing_period_start_date,
    sum(case when bills.bill_view = 'actual' then items.cost_local else 0 end) as actual_cost_local,
    sum(case when bills.bill_view = 'amortized' then items.cost_local else 0 end) as amortized_cost_local
from {{ ref('stg_azure_cost__line_items') }} as items
inner join {{ ref('int_charges__azure_bills') }} as bills
    on
        items.source_name = bills.source_name
        and items.export_view = bills.export_view
        and items.billing_account_id is not distinct from bills.billing_account_id
        and items.billing_period_start_date = bills.billing_period_start_date
where bills.has_actual and bills.has_amortized and bills.is_counted and not items.is_commitment
group by items.billing_account_id, items.billing_period_start_date
having
    sum(case when bills.bill_view = 'actual' then items.cost_local else 0 end)
    != sum(case when bills.bill_view = 'amortized' then items.cost_local else 0 end)
