-- One row per clock hour, cluster, pool of GPUs and team with a nominal quota there: what it is guaranteed, holds and
-- leaves, and what of the pool is idle, in millionths of a GPU. What it leaves is backed as far as GPUs are idle, in
-- parts by what each leaves: what others have borrowed, or what was never there, is nobody's idle.
{{ config(rebuild_touched('usage_date')) }}
{%- set one = 'cast(1000000000000 as ' ~ wide_integer_type() ~ ')' %}

with holdings as (
    select
        gpus.usage_hour_at,
        gpus.usage_date,
        gpus.cluster_name,
        gpus.gpu_model,
        shares.allocation_kind,
        case when shares.allocation_kind = 'workload' then coalesce(owners.team_id, 'untagged') end as team_id,
        max(gpus.is_estimate or shares.is_estimate) as is_estimate,
        -- Under gpu_all a holder's part of the node is its part of the GPUs.
        sum({{ integer_div('shares.gpu_all_weight * gpus.gpu_millionths + 500000000000', one) }}) as gpu_millionths,
        max(gpus.gpu_millionths is null) as is_uncounted
    from {{ ref('int_charges__node_gpus') }} as gpus
    inner join {{ ref('int_charges__node_shares') }} as shares using (node_key, usage_hour_at)
    left join {{ ref('int_charges__pod_owners') }} as owners
        on
            shares.usage_date = owners.usage_date
            and shares.cluster_name = owners.cluster_name
            and shares.namespace = owners.namespace
            and shares.pod = owners.pod
            and shares.allocation_kind = 'workload'
    where gpus.usage_date in (select usage_date from {{ source('build', 'touched_days') }})
    group by all
),

pool_hours as (
    select
        usage_hour_at,
        usage_date,
        cluster_name,
        gpu_model,
        max(is_estimate) as is_estimate,
        max(is_uncounted) as is_uncounted,
        coalesce(sum(case when allocation_kind = 'idle' then gpu_millionths end), 0) as idle_gpu_millionths
    from holdings
    group by usage_hour_at, usage_date, cluster_name, gpu_model
),

team_centers as (
    select
        quotas.*,
        hours.usage_hour_at,
        hours.usage_date,
        hours.is_estimate,
        hours.is_uncounted,
        hours.idle_gpu_millionths,
        owner_rules.cost_center_id
    from pool_hours as hours
    inner join {{ ref('stg_config__quotas') }} as quotas
        on
            hours.cluster_name = quotas.cluster_name
            and hours.gpu_model = quotas.gpu_model
            and {{ is_valid_on('quotas', 'hours.usage_date') }}
    left join {{ ref('stg_config__owner_rules') }} as owner_rules
        on
            quotas.team_id = owner_rules.team_id
            and {{ is_valid_on('owner_rules', 'hours.usage_date') }}
    qualify row_number() over (
        partition by hours.usage_hour_at, hours.cluster_name, hours.gpu_model, quotas.team_id
        order by owner_rules.priority nulls last, owner_rules.rule_id
    ) = 1
),

unused as (
    select
        team_centers.*,
        coalesce(holdings.gpu_millionths, 0) as held_gpu_millionths,
        greatest(team_centers.nominal_quota_gpu_count * 1000000 - coalesce(holdings.gpu_millionths, 0), 0)
            as unused_gpu_millionths
    from team_centers
    left join holdings
        on
            team_centers.usage_hour_at = holdings.usage_hour_at
            and team_centers.cluster_name = holdings.cluster_name
            and team_centers.gpu_model = holdings.gpu_model
            and team_centers.team_id = holdings.team_id
            and holdings.allocation_kind = 'workload'
),

totals as (
    select
        *,
        sum(unused_gpu_millionths) over (
            partition by usage_hour_at, cluster_name, gpu_model
        ) as pool_unused_gpu_millionths
    from unused
),

spoken_for as (
    {{ policy_for(
        'totals',
        key=['usage_hour_at', 'cluster_name', 'gpu_model', 'team_id'],
        subject='unused_quota',
        pools=['cluster_name']
    ) }}
)

select
    usage_hour_at,
    usage_date,
    cluster_name,
    gpu_model,
    team_id,
    cost_center_id,
    policy_id,
    policy_method,
    is_estimate,
    cast(nominal_quota_gpu_count * 1000000 as bigint) as quota_gpu_millionths,
    -- Where nobody can tell how many GPUs a machine has, nothing is known.
    {% for measure in ['held', 'unused', 'idle', 'pool_unused'] -%}
    cast(case when not is_uncounted then {{ measure }}_gpu_millionths end as bigint) as {{ measure }}_gpu_millionths,
    {% endfor -%}
    cast(case when not is_uncounted then {{ integer_div(
        'cast(unused_gpu_millionths as ' ~ wide_integer_type() ~ ') * least(idle_gpu_millionths, pool_unused_gpu_millionths)',
        'pool_unused_gpu_millionths'
    ) }} end as bigint) as backed_gpu_millionths
from spoken_for
