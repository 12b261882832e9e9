-- A policy charges teams by name: one that no owner rule knows is likely a slip of the pen.
{{ config(severity='warn', meta={'dagster': {'ref': {'name': 'stg_config__allocation_policies'}}}) }}

select
    policy_id,
    recipient_team_id
from {{ ref('stg_config__allocation_policies') }}
where
    recipient_team_id is not null
    and recipient_team_id not in (select team_id from {{ ref('stg_config__owner_rules') }})
