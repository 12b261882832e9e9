-- One row per charge group, day, owner and method: idle leaves `unallocated` for whom a policy names, to the
-- nano-dollar, and what a quota keeps for its holder before that. Where nobody held, it stays, and the method says so.
with shares as (
    select
        idle.*,
        recipients.team_id,
        recipients.cost_center_id,
        recipients.environment,
        coalesce(recipients.weight, 1) as weight,
        case
            when idle.policy_method = 'holders' then concat('idle_to_', idle.policy_scope, '_holders')
            when idle.policy_method = 'even' then 'idle_evenly'
            else 'idle_by_weights'
        end as allocation_method
    from {{ ref('int_charges__idle_shares') }} as idle
    left join {{ ref('int_charges__idle_recipients') }} as recipients
        on
            idle.policy_id = recipients.policy_id
            and idle.billing_period_start_date = recipients.billing_period_start_date
            and idle.usage_date = recipients.usage_date
            and idle.cluster_name is not distinct from recipients.cluster_name
            and idle.pot_node_key is not distinct from recipients.pot_node_key
),

split as (
    {{ split_usd(
        'shares',
        parent=['charge_key', 'usage_date', 'node_key', 'cluster_name', 'is_estimate'],
        weight='weight',
        tie="team_id nulls last, cost_center_id nulls last, environment nulls last"
    ) }}
),

both_sides as (
    select
        charge_key,
        usage_date,
        'unallocated' as team_id,
        cast(null as string) as cost_center_id,
        cast(null as string) as environment,
        allocation_method,
        is_estimate,
        policy_id,
        {{ costs('-split_$ as $') }}
    from split
    union all
    select
        charge_key,
        usage_date,
        coalesce(team_id, 'unallocated'),
        cost_center_id,
        environment,
        case when team_id is null then 'idle_without_holders' else allocation_method end,
        is_estimate or is_even_split,
        policy_id,
        {{ costs('split_$') }}
    from split
    {%- for direction in ['leaves', 'arrives'] %}
    union all
    select
        charge_key,
        usage_date,
        {{ 'team_id' if direction == 'arrives' else "'unallocated'" }},
        {{ 'cost_center_id' if direction == 'arrives' else 'null' }},
        null,
        'unused_quota_to_holder',
        is_estimate{{ ' or is_quota_estimate' if direction == 'arrives' }},
        policy_id,
        {{ costs('$' if direction == 'arrives' else '-$') }}
    from {{ ref('int_charges__quota_shares') }}
    {%- endfor %}
)

select
    charge_key,
    usage_date,
    team_id,
    cost_center_id,
    environment,
    cast(null as string) as workload_id,
    cast(null as string) as consumer_id,
    cast(null as string) as model_id,
    'idle' as allocation_step,
    allocation_method,
    is_estimate,
    cast(null as string) as owner_rule_id,
    cast(null as string) as price_set_id,
    max(policy_id) as policy_id,
    {{ costs(usd_sum('$') ~ ' as $') }}
from both_sides
group by charge_key, usage_date, team_id, cost_center_id, environment, allocation_method, is_estimate
