-- One row per UTC day, cluster, pool of GPUs and team with a nominal quota there: what the team is guaranteed, holds
-- and leaves, how much of what it leaves was idle, and what it was charged for that. What others borrowed is charged to
-- them, and what was never there to nobody: both are `unbacked`. Dollars are the ledger's.
with days as (
    select
        usage_date,
        cluster_name,
        gpu_model,
        team_id,
        max(cost_center_id) as cost_center_id,
        max(policy_id) as policy_id,
        max(policy_method) as policy_method,
        max(case when is_estimate then 1 else 0 end) as estimate_flag,
        max(case when unused_gpu_millionths is null then 1 else 0 end) as uncounted_flag,
        {{ listed(
            'cast(cast(sum($_gpu_millionths) as decimal(38, 0)) * cast(0.000001 as decimal(7, 6)) as decimal(38, 9))'
            ~ ' as $_gpu_hours', ['quota', 'held', 'unused', 'backed']
        ) }}
    from {{ ref('int_charges__quota_hours') }}
    group by usage_date, cluster_name, gpu_model, team_id
),

ledger as (
    select
        ledger.usage_date,
        ledger.team_id,
        pools.cluster_name,
        pools.gpu_model,
        {{ usd_sum('ledger.effective_cost_usd') }} as effective_cost_usd
    from {{ ref('fct_cost_ledger') }} as ledger
    inner join {{ ref('int_gpu__pools') }} as pools
        on
            ledger.usage_date = pools.usage_date
            and {{ node_key('ledger.resource_id') }} = pools.node_key
    where ledger.allocation_method = 'unused_quota_to_holder' and ledger.team_id != 'unallocated'
    group by ledger.usage_date, ledger.team_id, pools.cluster_name, pools.gpu_model
),

-- A model that a quota of the team names is its pool, else the team's dollars are of the rest of the cluster.
charged as (
    select
        ledger.usage_date,
        ledger.team_id,
        ledger.cluster_name,
        case when named.team_id is null then '*' else ledger.gpu_model end as gpu_model,
        {{ usd_sum('ledger.effective_cost_usd') }} as effective_cost_usd
    from ledger
    left join days as named using (usage_date, cluster_name, gpu_model, team_id)
    group by 1, 2, 3, 4
)

select
    usage_date,
    cluster_name,
    gpu_model,
    team_id,
    days.cost_center_id,
    days.policy_id,
    days.policy_method,
    days.quota_gpu_hours,
    case when days.uncounted_flag = 0 then days.held_gpu_hours end as held_gpu_hours,
    case when days.uncounted_flag = 0 then days.unused_gpu_hours end as unused_gpu_hours,
    case when days.uncounted_flag = 0 then days.backed_gpu_hours end as backed_gpu_hours,
    case when days.uncounted_flag = 0 then days.unused_gpu_hours - days.backed_gpu_hours end as unbacked_gpu_hours,
    coalesce(charged.effective_cost_usd, 0) as unused_quota_cost_usd,
    case when days.uncounted_flag = 1 then 'no_gpu_count' end as missing_reason,
    days.estimate_flag = 1 as is_estimate
from days
left join charged using (usage_date, cluster_name, gpu_model, team_id)
