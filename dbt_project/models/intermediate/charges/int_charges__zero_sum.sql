-- One row per entry that bills nothing and moves dollars between owners, and its owner: rows of one charge key add up
-- to 0. Manual adjustments and disputes, of the billing periods being built.
select
    md5(concat_ws('|', 'adjustment', adjustment_id)) as charge_key,
    usage_date,
    team_id,
    cost_center_id,
    cast(null as string) as environment,
    cast(null as string) as workload_id,
    cast(null as string) as consumer_id,
    cast(null as string) as model_id,
    'adjustment' as allocation_step,
    adjustment_kind as allocation_method,
    false as is_estimate,
    cast(null as string) as owner_rule_id,
    cast(null as string) as price_set_id,
    cast(null as string) as policy_id,
    {{ usd_sum('adjusted_cost_usd') }} as billed_cost_usd,
    {{ usd_sum('adjusted_cost_usd') }} as effective_cost_usd,
    cast(null as decimal(38, 9)) as list_cost_usd,
    cast(null as decimal(38, 9)) as contracted_cost_usd
from {{ ref('stg_config__adjustments') }}
where
    cast(date_trunc('month', usage_date) as date) in (
        select billing_period_start_date from {{ source('build', 'touched_periods') }}
    )
group by adjustment_id, usage_date, team_id, cost_center_id, adjustment_kind
