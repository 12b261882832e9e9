-- One row per charge group, day, node, cluster, flag, policy and team of idle that a quota keeps for the team, by the
-- hour, where the policy says that its holder pays. Only what is idle of GPUs: CPU and memory that nobody took stay,
-- but under a node rate by which they follow the GPUs.
{%- set one = 'cast(1000000000000 as ' ~ wide_integer_type() ~ ')' %}

with quota_hours as (
    select *
    from {{ ref('int_charges__quota_hours') }}
    where policy_method = 'holder' and unused_gpu_millionths > 0 and idle_gpu_millionths > 0
),

idle_weights as (
    select
        shares.node_key,
        shares.usage_hour_at,
        gpus.cluster_name,
        gpus.gpu_model,
        shares.weight as idle_weight,
        case
            when rates.policy_method = 'weights' then {{ one }} - rates.weights_cpu_parts - rates.weights_ram_parts
            when rates.policy_method = 'fixed' then {{ one }} - rates.fixed_cpu_parts - rates.fixed_ram_parts
            else {{ one }}
        end as gpu_parts,
        shares.gpu_all_weight as idle_gpu_parts
    from {{ ref('int_charges__node_shares') }} as shares
    inner join {{ ref('int_charges__node_gpus') }} as gpus using (node_key, usage_hour_at)
    inner join {{ ref('int_charges__node_rates') }} as rates using (node_key, usage_hour_at)
    where shares.allocation_kind = 'idle'
),

idle_hours as (
    select
        held.charge_key,
        held.charge_start_at,
        held.charge_end_at,
        held.usage_hour_at,
        held.usage_date,
        held.billing_period_start_date,
        held.node_key,
        held.cluster_name,
        held.is_estimate,
        weights.gpu_model,
        weights.idle_weight,
        case
            when weights.gpu_parts = {{ one }} then weights.idle_weight
            else least({{ integer_div('weights.gpu_parts * weights.idle_gpu_parts', one) }}, weights.idle_weight)
        end as idle_gpu_weight,
        {{ costs('held.$') }}
    from {{ ref('int_charges__held_hours') }} as held
    inner join idle_weights as weights
        on
            held.node_key = weights.node_key
            and held.usage_hour_at = weights.usage_hour_at
            and held.cluster_name = weights.cluster_name
    where held.allocation_kind = 'idle'
),

pool_hours as (
    select
        usage_hour_at,
        cluster_name,
        gpu_model,
        max(idle_gpu_millionths) as idle_gpu_millionths,
        max(pool_unused_gpu_millionths) as pool_unused_gpu_millionths
    from quota_hours
    group by usage_hour_at, cluster_name, gpu_model
),

recipients as (
    select
        idle_hours.*,
        quota_hours.team_id,
        quota_hours.cost_center_id,
        quota_hours.policy_id,
        quota_hours.is_estimate as is_quota_estimate,
        quota_hours.unused_gpu_millionths * idle_hours.idle_gpu_weight as weight
    from idle_hours
    inner join quota_hours using (usage_hour_at, cluster_name, gpu_model)
    union all
    select
        idle_hours.*,
        null,
        null,
        null,
        null,
        greatest(pool_hours.idle_gpu_millionths - pool_hours.pool_unused_gpu_millionths, 0) * idle_hours.idle_gpu_weight
        + greatest(pool_hours.idle_gpu_millionths, pool_hours.pool_unused_gpu_millionths)
        * (idle_hours.idle_weight - idle_hours.idle_gpu_weight)
    from idle_hours
    inner join pool_hours using (usage_hour_at, cluster_name, gpu_model)
),

split as (
    {{ split_usd(
        'recipients',
        parent=['charge_key', 'charge_start_at', 'charge_end_at', 'usage_hour_at', 'is_estimate'],
        weight='weight',
        tie='team_id nulls last'
    ) }}
)

select
    charge_key,
    usage_date,
    billing_period_start_date,
    node_key,
    cluster_name,
    is_estimate,
    team_id,
    cost_center_id,
    policy_id,
    max(is_quota_estimate) as is_quota_estimate,
    {{ costs(usd_sum('split_$') ~ ' as $') }}
from split
where team_id is not null and weight > 0
group by
    charge_key, usage_date, billing_period_start_date, node_key, cluster_name, is_estimate, team_id, cost_center_id,
    policy_id
