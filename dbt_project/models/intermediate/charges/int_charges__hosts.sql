-- One row per day and host of GPUs: the resource that node charges know it by, as the register of owned hardware says,
-- else as OpenCost does.
with nodes as (
    select
        usage_date,
        hostname,
        min(node_key) as node_key
    from {{ ref('int_gpu__nodes') }}
    group by usage_date, hostname
)

select
    nodes.usage_date,
    nodes.hostname,
    coalesce(min(register.resource_id), min(nodes.node_key)) as resource_id
from nodes
left join {{ ref('stg_config__owned_hardware') }} as register
    on
        nodes.hostname = register.hostname
        and {{ is_valid_on('register', 'nodes.usage_date') }}
group by nodes.usage_date, nodes.hostname
