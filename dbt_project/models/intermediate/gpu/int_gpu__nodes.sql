-- One row per day and cluster node name: the key by which the bill names the machine.
{{ config(rebuild_touched('usage_date')) }}

select
    usage_date,
    lower(node_name) as hostname,
    min({{ node_key('coalesce(provider_id, node_name)') }}) as node_key
from {{ ref('stg_opencost__allocations') }}
where
    usage_date in (select usage_date from {{ source('build', 'touched_days') }})
    and node_name is not null
group by usage_date, lower(node_name)
