-- One row per physical GPU, instant, MIG instance and holder: the state it was in, and its part of the card.
-- Parts are integers that add up to mig_compute_slices x parts_per_mig_slice for each card and instant. MIG instances
-- stand for the card, whose own series is then left out; slices that no instance has are the remainder, which nobody
-- can hold.
{{ config(materialized='ephemeral') }}

{%- set parts_per_slice = parts_per_mig_slice() %}

with series as (
    select
        usage_date,
        gpu_uuid,
        sampled_at,
        mig_instance_id,
        mig_profile,
        namespace,
        pod,
        max(sm_active_share) over series_instant as sm_active_share,
        max(gr_engine_active_share) over series_instant as gr_engine_active_share,
        max(gpu_util_share) over series_instant as gpu_util_share,
        max(pod) over series_instant as any_pod,
        max(mig_instance_id) over (partition by usage_date, gpu_uuid, sampled_at) as any_mig_instance_id
    from {{ ref('int_gpu__samples') }}
    where usage_date in (select usage_date from {{ source('build', 'touched_days') }})
    window series_instant as (partition by usage_date, gpu_uuid, sampled_at, mig_instance_id)
),

-- A row without a pod beside one with a pod is a metric that the exporter does not label, not a second holder.
holders as (
    select
        series.*,
        cast(coalesce(sm_active_share, gr_engine_active_share, gpu_util_share) as decimal(18, 9)) as activity_share,
        case
            when sm_active_share is not null then 1
            when gr_engine_active_share is not null then 2
            when gpu_util_share is not null then 3
            else 4
        end as signal_rank,
        count(*) over holder_instant as holder_count,
        row_number() over (
            partition by usage_date, gpu_uuid, sampled_at, mig_instance_id
            order by namespace nulls last, pod
        ) as holder_number,
        mig_instance_id != '' as is_mig,
        cast(nullif(regexp_extract(mig_profile, '([0-9]+)g', 1), '') as integer) as profile_slices
    from series
    where
        (any_mig_instance_id = '') = (mig_instance_id = '')
        and (any_pod = '') = (pod = '')
    window holder_instant as (partition by usage_date, gpu_uuid, sampled_at, mig_instance_id)
),

sliced as (
    select
        holders.*,
        devices.mig_compute_slices,
        case when is_mig then coalesce(profile_slices, 1) else devices.mig_compute_slices end as slices
    from holders
    inner join {{ ref('int_gpu__devices') }} as devices
        on
            holders.usage_date = devices.usage_date
            and holders.gpu_uuid = devices.gpu_uuid
)

select
    usage_date,
    gpu_uuid,
    sampled_at,
    mig_instance_id,
    mig_profile,
    namespace,
    pod,
    case
        when pod = '' then 'unallocated'
        when activity_share is null then 'unknown'
        when activity_share < {{ policy_number('gpu_idle_activity_share', 0.05) }} then 'held_idle'
        else 'worked'
    end as gpu_state,
    case
        when holder_count > 1 then 'time_sliced'
        when is_mig then 'mig_compute'
        else 'whole'
    end as allocation_basis,
    signal_rank,
    holder_count > 1 as is_estimate,
    cast({{ integer_div('slices * ' ~ parts_per_slice, 'holder_count') }} as bigint) as card_parts
from sliced
union all
select
    usage_date,
    gpu_uuid,
    sampled_at,
    'remainder',
    cast(null as string),
    '',
    '',
    'unallocated',
    'mig_compute',
    4,
    false,
    cast(max(mig_compute_slices) - sum(slices) as bigint) * {{ parts_per_slice }}
from sliced
where is_mig and holder_number = 1
group by usage_date, gpu_uuid, sampled_at
having max(mig_compute_slices) > sum(slices)
