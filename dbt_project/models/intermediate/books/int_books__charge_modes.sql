-- One row per team, or * for every team, and validity: whether it is charged back or only shown.
{{ config(materialized='view') }}

select
    pool as team_id,
    policy_method as charge_mode,
    case when pool = '*' then 1 else 0 end as generality,
    valid_from_date,
    valid_to_date
from {{ ref('stg_config__allocation_policies') }}
where subject = 'charge_mode'
