-- No accrual on a day that a bill covers.
{{ config(meta={'dagster': {'ref': {'name': 'int_charges__accruals'}}}) }}
select
    accruals.charge_key,
    accruals.usage_date
from {{ ref('int_charges__accruals') }} as accruals
inner join {{ ref('int_charges__routed') }} as billed
    on
        accruals.usage_date = billed.usage_date
        and (
            (accruals.resource_id = billed.node_key and billed.is_node_charge)
            or (
                accruals.resource_id is null
                and accruals.provider_name = billed.gateway_provider_name
                and billed.is_api_model_charge
            )
        )
