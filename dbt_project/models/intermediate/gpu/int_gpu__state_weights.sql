-- One row per physical GPU, clock hour, MIG instance, holder, state and basis: its integer weight in the card's hour.
-- Weights are milliseconds x parts of the card. From the first to the last hour that a sample of the day speaks for,
-- each hour is whole: what no sample speaks for is `unknown`, held by nobody we know.
{{ config(rebuild_touched('usage_date')) }}

{%- set hour_milliseconds = 3600000 %}

with cover as (
    select *
    from {{ ref('int_gpu__cover') }}
    where usage_date in (select usage_date from {{ source('build', 'touched_days') }})
),

held as (
    select
        cover.usage_hour_at,
        holders.*,
        cover.covered_ms * holders.card_parts as weight
    from cover
    inner join {{ ref('int_gpu__holders') }} as holders
        on
            cover.usage_date = holders.usage_date
            and cover.gpu_uuid = holders.gpu_uuid
            and cover.sampled_at = holders.sampled_at
),

spans as (
    select
        usage_date,
        gpu_uuid,
        min(usage_hour_at) as first_hour_at,
        max(usage_hour_at) as last_hour_at
    from cover
    group by usage_date, gpu_uuid
),

span_hours as (
    select
        usage_date,
        gpu_uuid,
        {{ explode_hours('first_hour_at', add_hours('last_hour_at', 1)) }} as usage_hour_at
    from spans
),

covered_hours as (
    select
        gpu_uuid,
        usage_hour_at,
        sum(covered_ms) as covered_ms
    from cover
    group by gpu_uuid, usage_hour_at
),

gaps as (
    select
        span_hours.usage_date,
        span_hours.gpu_uuid,
        span_hours.usage_hour_at,
        ({{ hour_milliseconds }} - coalesce(covered_hours.covered_ms, 0))
        * devices.mig_compute_slices * {{ parts_per_mig_slice() }} as weight
    from span_hours
    inner join {{ ref('int_gpu__devices') }} as devices
        on
            span_hours.usage_date = devices.usage_date
            and span_hours.gpu_uuid = devices.gpu_uuid
    left join covered_hours
        on
            span_hours.gpu_uuid = covered_hours.gpu_uuid
            and span_hours.usage_hour_at = covered_hours.usage_hour_at
)

select
    usage_date,
    usage_hour_at,
    gpu_uuid,
    mig_instance_id,
    namespace,
    pod,
    gpu_state,
    allocation_basis,
    max(mig_profile) as mig_profile,
    max(holder_source) as holder_source,
    max(signal_rank) as signal_rank,
    max(is_estimate) as is_estimate,
    cast(sum(weight) as bigint) as weight
from held
group by usage_date, usage_hour_at, gpu_uuid, mig_instance_id, namespace, pod, gpu_state, allocation_basis
union all
select
    usage_date,
    usage_hour_at,
    gpu_uuid,
    '',
    '',
    '',
    'unknown',
    'whole',
    null,
    'none',
    4,
    false,
    cast(weight as bigint)
from gaps
where weight > 0
