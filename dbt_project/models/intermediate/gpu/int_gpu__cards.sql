-- One row per touched day and physical GPU: its machine, and how the policy of its cluster measures MIG instances.
{{ config(materialized='ephemeral') }}

select
    devices.usage_date,
    devices.gpu_uuid,
    devices.gpu_model,
    devices.mig_compute_slices as card_slices,
    devices.memory_mib as card_mib,
    nodes.node_key,
    'compute' as mig_basis,
    100 as compute_percent
from {{ ref('int_gpu__devices') }} as devices
inner join {{ ref('int_gpu__nodes') }} as nodes using (usage_date, cluster_name, hostname)
where devices.usage_date in (select usage_date from {{ source('build', 'touched_days') }})
