-- One row per charge group, day, owner, workload, consumer, model, step and method of the billing periods being built:
-- what the ledger would say if nothing had ever been closed.
with every_way as (
    {%- for model in [
        'int_charges__allocated', 'int_charges__moves', 'int_charges__zero_sum', 'int_charges__accruals'
    ] %}
    select
        {{ allocation_columns() }},
        {{ costs() }}
    from {{ ref(model) }}
    {{ 'union all' if not loop.last }}
    {%- endfor %}
),

every_row as (
    select
        {{ ledger_key() }} as ledger_key,
        *
    from every_way
)

select
    every_row.*,
    dimensions.billing_period_start_date,
    dimensions.source_name,
    dimensions.provider_name,
    dimensions.billing_account_id,
    dimensions.invoice_id,
    dimensions.currency_code,
    dimensions.usd_per_unit,
    dimensions.charge_version,
    dimensions.charge_category,
    dimensions.charge_class,
    dimensions.service_name,
    dimensions.resource_id,
    dimensions.cost_pool
from every_row
inner join {{ ref('int_charges__dimensions') }} as dimensions
    on every_row.charge_key = dimensions.charge_key
