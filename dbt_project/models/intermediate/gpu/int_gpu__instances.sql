-- One row per physical GPU, instant, MIG instance ('' the whole card) and holder: what is known of the sharing, and how
-- many parts of the card the instance is, of mig_compute_slices x parts_per_mig_slice.
-- A MIG instance is the compute slices of its profile, its memory over the card's, or a blend, by policy. Its memory is
-- the day's measurement, else the profile's, else the profile's nominal eighths of the card.
{{ config(materialized='ephemeral') }}

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
        max(mig_instance_id) over (partition by usage_date, gpu_uuid, sampled_at) as any_mig_instance_id,
        max(memory_mib) over (partition by usage_date, gpu_uuid, mig_instance_id) as measured_mib
    from {{ ref('int_gpu__samples') }}
    where usage_date in (select usage_date from {{ source('build', 'touched_days') }})
    window series_instant as (partition by usage_date, gpu_uuid, sampled_at, mig_instance_id)
),

sharing as (
    select
        usage_date,
        node_key,
        namespace,
        pod,
        max(replica_count) as replica_count,
        max(thread_percent) as thread_percent,
        max(is_mps) as is_mps
    from {{ ref('int_gpu__pod_runs') }}
    where usage_date in (select usage_date from {{ source('build', 'touched_days') }})
    group by usage_date, node_key, namespace, pod
),

-- A row without a pod beside one with a pod is a metric that the exporter does not label, not a second holder.
held as (
    select
        series.usage_date,
        series.gpu_uuid,
        series.sampled_at,
        series.mig_instance_id,
        series.mig_profile,
        coalesce(named.namespace, series.namespace) as namespace,
        coalesce(named.pod, series.pod) as pod,
        case when series.pod != '' then 'label' else coalesce(named.holder_source, 'none') end as holder_source,
        named.held_millionths,
        cast(coalesce(series.sm_active_share, series.gr_engine_active_share, series.gpu_util_share) as decimal(18, 9))
            as activity_share,
        case
            when series.sm_active_share is not null then 1
            when series.gr_engine_active_share is not null then 2
            when series.gpu_util_share is not null then 3
            else 4
        end as signal_rank,
        series.measured_mib
    from series
    left join {{ ref('int_gpu__named_holders') }} as named
        on
            series.usage_date = named.usage_date
            and series.gpu_uuid = named.gpu_uuid
            and series.sampled_at = named.sampled_at
            and series.pod = ''
    where
        (series.any_mig_instance_id = '') = (series.mig_instance_id = '')
        and (series.any_pod = '') = (series.pod = '')
),

sized as (
    select
        held.*,
        cards.card_slices,
        cast(cards.card_slices as bigint) * {{ parts_per_mig_slice() }} as whole_parts,
        cards.mig_basis,
        cards.compute_weight,
        cards.memory_weight,
        count(*) over holder_instant as holder_count,
        max(sharing.replica_count) over holder_instant as replica_count,
        max(coalesce(sharing.is_mps, false)) over holder_instant as is_mps,
        sharing.thread_percent,
        coalesce(cast(nullif(regexp_extract(held.mig_profile, '([0-9]+)g', 1), '') as integer), 1) as profile_slices,
        coalesce(held.measured_mib, profiles.memory_mib) as known_mib,
        cards.card_mib,
        -- An eighth of the card is the least memory an instance has: 1g.10gb of an H100-80GB is one, 3g.40gb four.
        {{ integer_div(
            '16 * 1024 * cast(nullif(regexp_extract(held.mig_profile, \'([0-9]+)gb\', 1), \'\') as bigint) + cards.card_mib',
            '2 * cards.card_mib'
        ) }} as profile_eighths
    from held
    inner join {{ ref('int_gpu__cards') }} as cards using (usage_date, gpu_uuid)
    left join {{ ref('mig_profiles') }} as profiles
        on
            cards.gpu_model = profiles.gpu_model
            and held.mig_profile = profiles.mig_profile
    left join sharing
        on
            held.usage_date = sharing.usage_date
            and cards.node_key = sharing.node_key
            and held.namespace = sharing.namespace
            and held.pod = sharing.pod
    window holder_instant as (partition by held.usage_date, held.gpu_uuid, held.sampled_at, held.mig_instance_id)
),

parted as (
    select
        *,
        cast(profile_slices as bigint) * {{ parts_per_mig_slice() }} as compute_parts,
        coalesce(
            {{ integer_div('whole_parts * known_mib', 'card_mib') }},
            {{ integer_div('whole_parts * profile_eighths', '8') }},
            cast(profile_slices as bigint) * {{ parts_per_mig_slice() }}
        ) as memory_parts
    from sized
)

select
    usage_date,
    gpu_uuid,
    sampled_at,
    mig_instance_id,
    mig_profile,
    namespace,
    pod,
    holder_source,
    held_millionths,
    activity_share,
    signal_rank,
    holder_count,
    replica_count,
    is_mps,
    thread_percent,
    card_slices,
    case when mig_instance_id = '' then 'whole' else concat('mig_', mig_basis) end as unshared_basis,
    -- Nominal memory stands in for an unknown one.
    mig_instance_id != '' and memory_weight > 0 and known_mib is null as is_nominal_memory,
    cast(case
        when mig_instance_id = '' then whole_parts
        else {{ integer_div(
            'compute_weight * compute_parts + memory_weight * memory_parts', 'compute_weight + memory_weight'
        ) }}
    end as bigint) as instance_parts
from parted
