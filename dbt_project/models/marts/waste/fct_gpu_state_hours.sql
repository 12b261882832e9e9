-- One row per UTC hour, physical GPU, MIG instance ('' the whole card, `remainder` its slices that no instance has),
-- holder, state and basis. The rows of a GPU and hour add up to exactly one GPU-hour: largest remainder at 1e-9.
{{ config(rebuild_touched('usage_date')) }}

with weights as (
    select
        *,
        cast(1 as decimal(18, 9)) as card_gpu_hours
    from {{ ref('int_gpu__state_weights') }}
    where usage_date in (select usage_date from {{ source('build', 'touched_days') }})
),

split as (
    {{ split_usd(
        'weights',
        parent=['gpu_uuid', 'usage_hour_at'],
        weight='weight',
        tie='mig_instance_id, namespace, pod, gpu_state, allocation_basis',
        amounts=['card_gpu_hours']
    ) }}
)

select
    split.usage_hour_at,
    split.usage_date,
    split.gpu_uuid,
    split.mig_instance_id,
    coalesce(split.mig_profile, '') as mig_profile,
    devices.hostname,
    devices.cluster_name,
    devices.gpu_model,
    split.namespace,
    split.pod,
    case
        when split.holder_source = 'unlabelled' then 'unknown'
        when split.pod != '' then pod_owners.team_id
        when split.gpu_state = 'unknown' then 'unknown'
        else 'unallocated'
    end as team_id,
    pod_owners.cost_center_id,
    split.gpu_state,
    split.split_card_gpu_hours as gpu_hours,
    split.allocation_basis,
    split.holder_source,
    case split.signal_rank when 1 then 'sm_active' when 2 then 'gr_engine_active' when 3 then 'gpu_util' else 'none' end
        as activity_signal,
    split.is_estimate
from split
inner join {{ ref('int_gpu__devices') }} as devices
    on
        split.usage_date = devices.usage_date
        and split.gpu_uuid = devices.gpu_uuid
left join {{ ref('int_gpu__pod_owners') }} as pod_owners
    on
        split.usage_date = pod_owners.usage_date
        and devices.cluster_name = pod_owners.cluster_name
        and split.namespace = pod_owners.namespace
        and split.pod = pod_owners.pod
