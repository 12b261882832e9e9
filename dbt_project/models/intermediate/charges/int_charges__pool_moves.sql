-- One row per charge group, day, owner, workload, consumer and method of what serving pools of the company's own pass
-- on: all that a pool's pods hold leaves its team, and arrives hour by hour with whoever the gateway saw calling its
-- model. An hour without calls comes back to the pool's team, so that its idle stays visible.
with pool_costs as (
    select
        held_hours.charge_key,
        held_hours.usage_date,
        held_hours.usage_hour_at,
        held_hours.cluster_name,
        held_hours.namespace,
        held_hours.workload_id,
        held_hours.is_estimate as is_held_estimate,
        pools.model_id,
        concat('serving_pool/', pools.pool_id) as policy_id,
        coalesce(pod_owners.team_id, 'untagged') as pool_team_id,
        pod_owners.cost_center_id as pool_cost_center_id,
        pod_owners.environment as pool_environment,
        max(pod_owners.owner_rule_id) as pool_owner_rule_id,
        {{ costs(usd_sum('held_hours.$') ~ ' as $') }}
    from {{ ref('int_charges__held_hours') }} as held_hours
    inner join {{ ref('stg_config__serving_pools') }} as pools
        on
            held_hours.cluster_name = pools.cluster_name
            and held_hours.namespace = pools.namespace
            and held_hours.workload_id = pools.workload_id
            and {{ is_valid_on('pools', 'held_hours.usage_date') }}
    left join {{ ref('int_charges__pod_owners') }} as pod_owners
        on
            held_hours.usage_date = pod_owners.usage_date
            and held_hours.cluster_name = pod_owners.cluster_name
            and held_hours.namespace = pod_owners.namespace
            and held_hours.pod = pod_owners.pod
    where held_hours.allocation_kind = 'workload'
    group by all
),

shares as (
    select
        pool_costs.*,
        calls.team_id,
        calls.cost_center_id,
        calls.environment,
        calls.app_id,
        calls.consumer_id,
        calls.owner_rule_id,
        calls.is_timed,
        coalesce(calls.input_weight + calls.output_weight, 0) as weight,
        md5(concat_ws(
            '|',
            calls.team_id,
            coalesce(calls.cost_center_id, '~'),
            coalesce(calls.environment, '~'),
            calls.app_id,
            calls.consumer_id
        )) as consumer_key
    from pool_costs
    left join {{ ref('int_tokens__pool_hours') }} as calls
        on
            pool_costs.cluster_name = calls.cluster_name
            and pool_costs.namespace = calls.namespace
            and pool_costs.workload_id = calls.workload_id
            and pool_costs.usage_hour_at = calls.usage_hour_at
),

split as (
    {{ split_usd(
        'shares',
        parent=[
            'charge_key', 'usage_hour_at', 'cluster_name', 'namespace', 'workload_id', 'is_held_estimate',
            'pool_team_id', 'pool_cost_center_id', 'pool_environment'
        ],
        weight='weight',
        tie='consumer_key'
    ) }}
),

moves as (
    select
        *,
        'own_pool_passed_on' as allocation_method,
        pool_team_id as to_team_id,
        pool_cost_center_id as to_cost_center_id,
        pool_environment as to_environment,
        pool_owner_rule_id as to_owner_rule_id,
        cast(null as string) as to_consumer_id,
        is_held_estimate as is_estimate,
        {{ costs('-split_$ as moved_@_usd') }}
    from split
    union all
    select
        *,
        case
            when team_id is null then 'own_pool_without_traffic'
            when is_timed then 'own_pool_prefill_and_decode_seconds'
            else 'own_pool_tokens_output_2_5_times'
        end,
        coalesce(team_id, pool_team_id),
        case when team_id is null then pool_cost_center_id else cost_center_id end,
        case when team_id is null then pool_environment else environment end,
        case when team_id is null then pool_owner_rule_id else owner_rule_id end,
        consumer_id,
        is_held_estimate or team_id is not null,
        {{ costs('split_$') }}
    from split
)

select
    charge_key,
    usage_date,
    to_team_id as team_id,
    to_cost_center_id as cost_center_id,
    to_environment as environment,
    concat_ws('/', namespace, workload_id) as workload_id,
    to_consumer_id as consumer_id,
    model_id,
    'token' as allocation_step,
    allocation_method,
    is_estimate,
    max(to_owner_rule_id) as owner_rule_id,
    cast(null as string) as price_set_id,
    max(policy_id) as policy_id,
    {{ costs(usd_sum('moved_@_usd') ~ ' as $') }}
from moves
group by
    charge_key, usage_date, to_team_id, to_cost_center_id, to_environment, namespace, moves.workload_id,
    to_consumer_id, model_id, allocation_method, is_estimate
