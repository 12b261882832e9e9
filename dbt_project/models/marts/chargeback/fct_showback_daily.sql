-- One row per day, team, cost centre, cluster and GPU model: what was held, worked and wasted, side by side. Held cost
-- is the ledger's; worked and wasted cost are its parts by the GPU-hours that telemetry saw.
with ledger as (
    select
        usage_date,
        team_id,
        cost_center_id,
        {{ node_key('resource_id') }} as node_key,
        {{ usd_sum('effective_cost_usd') }} as held_cost_usd,
        cast(sum(case when allocation_step = 'idle' then effective_cost_usd else 0 end) as decimal(38, 9))
            as idle_cost_usd,
        max(case when is_estimate then 1 else 0 end) as estimate_flag
    from {{ ref('fct_cost_ledger') }}
    where cost_pool = 'cluster_nodes' and allocation_step in ('held', 'idle')
    group by all
),

node_costs as (
    select
        usage_date,
        team_id,
        cost_center_id,
        node_key,
        {{ node_rates('cast(null as decimal(38, 9)) as $_cost_usd') }},
        held_cost_usd,
        idle_cost_usd,
        estimate_flag
    from ledger
    union all
    select
        usage_date,
        team_id,
        cost_center_id,
        node_key,
        {{ node_rates('$_cost_usd') }},
        null,
        null,
        0
    from {{ ref('int_charges__node_rate_spreads') }}
),

measures as (
    select
        node_costs.usage_date,
        node_costs.team_id,
        node_costs.cost_center_id,
        coalesce(pools.cluster_name, 'unknown') as cluster_name,
        coalesce(pools.gpu_model, '') as gpu_model,
        cast(null as string) as gpu_state,
        cast(null as decimal(18, 9)) as gpu_hours,
        {{ node_rates('node_costs.$_cost_usd') }},
        node_costs.held_cost_usd,
        node_costs.idle_cost_usd,
        node_costs.estimate_flag
    from node_costs
    left join {{ ref('int_gpu__pools') }} as pools using (usage_date, node_key)
    union all
    select
        state_hours.usage_date,
        state_hours.team_id,
        state_hours.cost_center_id,
        coalesce(pools.cluster_name, state_hours.cluster_name),
        coalesce(pools.gpu_model, state_hours.gpu_model),
        case when state_hours.pod = '' then 'unheld' else state_hours.gpu_state end,
        state_hours.gpu_hours,
        {{ node_rates('null') }},
        null,
        null,
        0
    from {{ ref('fct_gpu_state_hours') }} as state_hours
    left join {{ ref('int_gpu__nodes') }} as nodes using (usage_date, cluster_name, hostname)
    left join {{ ref('int_gpu__pools') }} as pools
        on
            state_hours.usage_date = pools.usage_date
            and nodes.node_key = pools.node_key
),

summed as (
    select
        usage_date,
        team_id,
        cost_center_id,
        cluster_name,
        gpu_model,
        cast(sum(case when gpu_state != 'unheld' then gpu_hours end) as decimal(38, 9)) as held_gpu_hours,
        cast(sum(case when gpu_state = 'worked' then gpu_hours end) as decimal(38, 9)) as worked_gpu_hours,
        cast(sum(case when gpu_state = 'held_idle' then gpu_hours end) as decimal(38, 9)) as idle_gpu_hours,
        cast(sum(case when gpu_state = 'unheld' then gpu_hours end) as decimal(38, 9)) as unheld_gpu_hours,
        {{ node_rates(usd_sum('$_cost_usd') ~ ' as $_cost_usd') }},
        {{ usd_sum('held_cost_usd') }} as held_cost_usd,
        {{ usd_sum('idle_cost_usd') }} as idle_cost_usd,
        max(estimate_flag) as estimate_flag
    from measures
    group by usage_date, team_id, cost_center_id, cluster_name, gpu_model
)

select
    usage_date,
    team_id,
    cost_center_id,
    cluster_name,
    gpu_model,
    held_gpu_hours,
    case when held_gpu_hours is not null then coalesce(worked_gpu_hours, 0) end as worked_gpu_hours,
    case when held_gpu_hours is not null then coalesce(idle_gpu_hours, 0) end as idle_gpu_hours,
    unheld_gpu_hours,
    held_cost_usd,
    {{ share_of_usd('held_cost_usd - idle_cost_usd', 'coalesce(worked_gpu_hours, 0)', 'held_gpu_hours') }}
        as worked_cost_usd,
    idle_cost_usd + case
        when held_cost_usd = idle_cost_usd then 0
        else {{ share_of_usd('held_cost_usd - idle_cost_usd', 'coalesce(idle_gpu_hours, 0)', 'held_gpu_hours') }}
    end as wasted_cost_usd,
    case
        when held_cost_usd is null then 'no_held_cost'
        when gpu_model = '' then 'no_gpu_telemetry'
        when held_gpu_hours is null and held_cost_usd != idle_cost_usd then 'no_gpu_held'
    end as missing_reason,
    estimate_flag = 1 or (held_gpu_hours is not null and held_cost_usd is not null) as is_estimate,
    least(residual_cost_usd, gpu_all_cost_usd, weights_cost_usd, fixed_cost_usd)
        as lowest_policy_cost_usd,
    greatest(residual_cost_usd, gpu_all_cost_usd, weights_cost_usd, fixed_cost_usd)
        as highest_policy_cost_usd
from summed
