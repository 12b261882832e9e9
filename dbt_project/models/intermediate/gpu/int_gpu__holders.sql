-- One row per physical GPU, instant, MIG instance and holder: the state it was in, and its part of the card.
-- Parts are integers of mig_compute_slices x parts_per_mig_slice for each card and instant. MIG instances stand for the
-- card, whose own series is then left out; what no instance of the layout has is the remainder, which nobody can hold.
-- Part of an instance, or of a whole card: an MPS client its thread percentage, a replica 1/replicas, else what pods
-- share the instant get even parts. What is not given out, replicas unsold among it, is unallocated.
{{ config(materialized='ephemeral') }}
{%- set parts_per_slice = parts_per_mig_slice() %}

with instances as (
    select
        instances.*,
        starts.gang_wait_until_at,
        starts.starting_until_at
    from {{ ref('int_gpu__instances') }} as instances
    left join {{ ref('int_gpu__devices') }} as devices using (usage_date, gpu_uuid)
    left join {{ ref('int_gpu__pod_starts') }} as starts
        on
            instances.usage_date = starts.usage_date
            and devices.cluster_name = starts.cluster_name
            and instances.namespace = starts.namespace
            and instances.pod = starts.pod
            and instances.sampled_at >= starts.held_from_at and instances.sampled_at < starts.held_to_at
),

claimed as (
    select
        *,
        case
            when held_millionths is not null then 'node_share'
            when is_mps then 'mps'
            when holder_count > 1 or replica_count > 1 then 'time_sliced'
            else unshared_basis
        end as allocation_basis,
        cast(case
            when pod = '' then instance_parts
            when held_millionths is not null
                then {{ integer_div('instance_parts * held_millionths', '1000000') }}
            when is_mps and thread_percent is not null
                then {{ integer_div('instance_parts * thread_percent', '100') }}
            else {{ integer_div('instance_parts', 'greatest(coalesce(replica_count, 1), holder_count)') }}
        end as bigint) as card_parts
    from instances
),

-- Thread percentages are limits and may add up to more than the card.
fitted as (
    select
        *,
        sum(card_parts) over holder_instant as claimed_parts,
        row_number() over (
            partition by usage_date, gpu_uuid, sampled_at, mig_instance_id
            order by namespace nulls last, pod
        ) as holder_number
    from claimed
    window holder_instant as (partition by usage_date, gpu_uuid, sampled_at, mig_instance_id)
),

unsold as (
    select
        usage_date,
        gpu_uuid,
        sampled_at,
        mig_instance_id,
        mig_profile,
        allocation_basis,
        holder_source,
        instance_parts - claimed_parts as card_parts
    from fitted
    where
        holder_number = 1
        and instance_parts > claimed_parts
        -- Even parts that do not divide leave less than a part each.
        and instance_parts - claimed_parts >= holder_count
),

remainders as (
    select
        usage_date,
        gpu_uuid,
        sampled_at,
        max(unshared_basis) as allocation_basis,
        max(case when is_nominal_memory then 1 else 0 end) = 1 as is_estimate,
        max(card_slices) * {{ parts_per_slice }} - sum(instance_parts) as card_parts
    from fitted
    where mig_instance_id != '' and holder_number = 1
    group by usage_date, gpu_uuid, sampled_at
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
        when sampled_at < gang_wait_until_at then 'gang_wait'
        when sampled_at < starting_until_at then 'starting'
        when activity_share is null then 'unknown'
        when activity_share < {{ policy_number('gpu_idle_activity_share', 0.05) }} then 'held_idle'
        else 'worked'
    end as gpu_state,
    allocation_basis,
    holder_source,
    signal_rank,
    is_nominal_memory or allocation_basis in ('time_sliced', 'mps')
    or (allocation_basis = 'node_share' and (held_millionths < 1000000 or holder_source = 'unlabelled')) as is_estimate,
    cast(case
        when claimed_parts > instance_parts
            then {{ integer_div(
                'cast(card_parts as ' ~ wide_integer_type() ~ ') * instance_parts', 'claimed_parts'
            ) }}
        else card_parts
    end as bigint) as card_parts
from fitted
union all
select
    usage_date,
    gpu_uuid,
    sampled_at,
    mig_instance_id,
    mig_profile,
    '',
    '',
    'unallocated',
    allocation_basis,
    'none',
    4,
    true,
    cast(card_parts as bigint)
from unsold
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
    allocation_basis,
    'none',
    4,
    is_estimate,
    cast(card_parts as bigint)
from remainders
where card_parts > 0
