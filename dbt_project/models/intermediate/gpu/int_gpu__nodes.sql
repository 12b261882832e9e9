-- One row per day, cluster and host of GPUs: the key by which the bill names the machine. Where the exporter's cluster
-- is not set or named otherwise, a host name that one machine alone has speaks for it.
{{ config(rebuild_touched('usage_date')) }}

with hosts as (
    select distinct
        usage_date,
        cluster_name,
        hostname
    from {{ ref('int_gpu__devices') }}
    where usage_date in (select usage_date from {{ source('build', 'touched_days') }})
),

nodes as (
    select
        usage_date,
        cluster_name,
        lower(node_name) as hostname,
        min({{ node_key('coalesce(provider_id, node_name)') }}) as node_key
    from {{ ref('stg_opencost__allocations') }}
    where
        usage_date in (select usage_date from {{ source('build', 'touched_days') }})
        and node_name is not null
    group by usage_date, cluster_name, lower(node_name)
),

lone_nodes as (
    select
        usage_date,
        hostname,
        min(node_key) as node_key
    from nodes
    group by usage_date, hostname
    having min(node_key) = max(node_key)
)

select
    hosts.usage_date,
    hosts.cluster_name,
    hosts.hostname,
    coalesce(nodes.node_key, lone_nodes.node_key, {{ node_key('hosts.hostname') }}, hosts.hostname) as node_key
from hosts
left join nodes
    on
        hosts.usage_date = nodes.usage_date
        and hosts.cluster_name = nodes.cluster_name
        and lower(hosts.hostname) = nodes.hostname
left join lone_nodes
    on
        hosts.usage_date = lone_nodes.usage_date
        and lower(hosts.hostname) = lone_nodes.hostname
