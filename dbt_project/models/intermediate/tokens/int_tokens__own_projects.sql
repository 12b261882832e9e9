-- One row per billing period, provider and project that an owner rule names: it is billed to its owner, and is no
-- traffic of the gateway's.
{{ config(rebuild_touched('billing_period_start_date', touched_by=['int_charges__routed'])) }}

select distinct
    provider_name,
    sub_account_id as project_id,
    billing_period_start_date
from {{ ref('int_charges__routed') }}
where cost_pool = 'llm_api' and route != 'token' and is_sub_account_owned
