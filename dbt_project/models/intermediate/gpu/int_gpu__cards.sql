-- One row per touched day and physical GPU: its machine, and how the policy of its cluster measures MIG instances.
{{ config(materialized='ephemeral') }}

with cards as (
    select
        devices.usage_date,
        devices.gpu_uuid,
        devices.gpu_model,
        devices.cluster_name,
        devices.mig_compute_slices as card_slices,
        devices.memory_mib as card_mib,
        nodes.node_key
    from {{ ref('int_gpu__devices') }} as devices
    inner join {{ ref('int_gpu__nodes') }} as nodes using (usage_date, cluster_name, hostname)
    where devices.usage_date in (select usage_date from {{ source('build', 'touched_days') }})
),

spoken_for as (
    {{ policy_for('cards', key=['usage_date', 'gpu_uuid'], subject='mig_basis', pools=['cluster_name']) }}
)

select
    usage_date,
    gpu_uuid,
    gpu_model,
    card_slices,
    card_mib,
    node_key,
    policy_method as mig_basis,
    case policy_method when 'compute' then 1 when 'memory' then 0 else compute_weight end as compute_weight,
    case policy_method when 'compute' then 0 when 'memory' then 1 else memory_weight end as memory_weight
from spoken_for
