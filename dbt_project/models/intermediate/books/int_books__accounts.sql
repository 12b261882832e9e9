-- One row per kind of journal entry, cost pool, team and validity: the account, and how special it is, 0 first.
{{ config(materialized='view') }}

select
    *,
    case when team_id = '*' then 2 else 0 end + case when cost_pool = '*' then 1 else 0 end as generality
from {{ ref('stg_config__gl_accounts') }}
