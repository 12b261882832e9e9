-- A quota keeps GPUs for a team by name: one that no owner rule knows is likely a slip of the pen, and holds nothing.
{{ config(severity='warn', meta={'dagster': {'ref': {'name': 'stg_config__quotas'}}}) }}

select
    cluster_name,
    gpu_model,
    team_id
from {{ ref('stg_config__quotas') }}
where team_id not in (select team_id from {{ ref('stg_config__owner_rules') }})
