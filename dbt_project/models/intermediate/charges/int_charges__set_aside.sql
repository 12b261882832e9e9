-- One row per provider, billing account, billing period and currency of bills that came as FOCUS too, in which they are
-- read: what the provider's own export asks for.
with asked as (
    select
        'AWS' as provider_name,
        billing_account_id,
        billing_period_start_date,
        currency_code,
        unblended_cost_local as billed_cost_local,
        list_cost_local
    from {{ ref('stg_aws_cur__line_items') }}
    where not is_split_line
    union all
    select
        'Google Cloud',
        billing_account_id,
        billing_period_start_date,
        currency_code,
        gross_cost_local,
        list_cost_local
    from {{ ref('stg_gcp_billing__line_items') }}
    union all
    select
        'Google Cloud',
        billing_account_id,
        billing_period_start_date,
        currency_code,
        credit_local,
        cast(null as decimal(38, 18))
    from {{ ref('stg_gcp_billing__credits') }}
    union all
    select
        'Oracle',
        billing_account_id,
        billing_period_start_date,
        currency_code,
        billed_cost_local,
        cast(null as decimal(38, 18))
    from {{ ref('stg_oci_cost__line_items') }}
),

azure_asked as (
    select
        'Microsoft' as provider_name,
        items.billing_account_id,
        items.billing_period_start_date,
        items.currency_code,
        items.cost_local as billed_cost_local,
        items.list_cost_local
    from {{ ref('stg_azure_cost__line_items') }} as items
    inner join {{ ref('int_charges__azure_bills') }} as bills
        on
            items.source_name = bills.source_name
            and items.export_view = bills.export_view
            and items.billing_account_id is not distinct from bills.billing_account_id
            and items.billing_period_start_date = bills.billing_period_start_date
    where bills.is_delivered_as_focus and (bills.bill_view = 'actual' or not bills.has_actual)
),

delivered as (
    select * from asked
    where
        exists (
            select 1 from {{ ref('stg_focus__charges') }} as focus
            where
                focus.provider_name = asked.provider_name
                and focus.billing_account_id = asked.billing_account_id
                and focus.billing_period_start_date = asked.billing_period_start_date
        )
    union all
    select * from azure_asked
)

select
    provider_name,
    billing_account_id,
    billing_period_start_date,
    currency_code,
    cast(sum(billed_cost_local) as decimal(38, 18)) as billed_cost_local,
    cast(sum(list_cost_local) as decimal(38, 18)) as list_cost_local
from delivered
group by all
