-- One row per billing period, gateway provider and day that an API-model charge covers.
{{ config(rebuild_touched('billing_period_start_date', touched_by=['int_charges__routed'])) }}

select distinct
    gateway_provider_name as provider_name,
    usage_date,
    billing_period_start_date
from {{ ref('int_charges__routed') }}
where is_api_model_charge
