-- One row per policy, billing period, day, cluster, node where it looks to one, and recipient of idle: its weight.
-- Holders weigh what they were charged for holding (effective nano-USD; a negative net weighs nothing). A quota
-- guarantees a team its share of the cluster's bill of the day; what it held less of weighs. What runs for everybody
-- (team `shared`) holds nothing, pods without an owner do. Where bills of two periods share a day, the idle of each
-- follows those whom it charges itself: a period is split without the others.
with pots as (
    select distinct
        policy_id,
        policy_method,
        policy_scope,
        billing_period_start_date,
        usage_date,
        cluster_name,
        pot_node_key
    from {{ ref('int_charges__idle_shares') }}
),

holders as (
    select
        billing_period_start_date,
        usage_date,
        cluster_name,
        node_key,
        team_id,
        cost_center_id,
        environment,
        sum({{ nano_usd('effective_cost_usd') }}) as held_nano_usd
    from {{ ref('int_charges__held_owners') }}
    where allocation_kind = 'workload' and team_id != 'shared'
    group by billing_period_start_date, usage_date, cluster_name, node_key, team_id, cost_center_id, environment
),

held as (
    select
        pots.*,
        holders.team_id,
        holders.cost_center_id,
        holders.environment,
        greatest(sum(holders.held_nano_usd), 0) as weight
    from pots
    inner join holders
        on
            pots.billing_period_start_date = holders.billing_period_start_date
            and pots.usage_date = holders.usage_date
            and pots.cluster_name is not distinct from holders.cluster_name
            and (pots.pot_node_key is null or pots.pot_node_key = holders.node_key)
    where pots.policy_method in ('holders', 'even')
    group by all
),

cluster_bills as (
    select
        billing_period_start_date,
        usage_date,
        cluster_name,
        greatest(sum({{ nano_usd('effective_cost_usd') }}), 0) as billed_nano_usd
    from {{ ref('int_charges__held_owners') }}
    group by billing_period_start_date, usage_date, cluster_name
),

cluster_holdings as (
    select
        billing_period_start_date,
        usage_date,
        cluster_name,
        team_id,
        sum(held_nano_usd) as held_nano_usd
    from holders
    group by billing_period_start_date, usage_date, cluster_name, team_id
),

named as (
    select
        pots.*,
        recipients.team_id,
        recipients.cost_center_id,
        recipients.recipient_weight,
        sum(recipients.recipient_weight) over (
            partition by pots.policy_id, pots.billing_period_start_date, pots.usage_date, pots.cluster_name
        ) as all_weights,
        cluster_bills.billed_nano_usd,
        coalesce(cluster_holdings.held_nano_usd, 0) as held_nano_usd
    from pots
    inner join {{ ref('int_charges__policy_recipients') }} as recipients
        on
            pots.policy_id = recipients.policy_id
            and pots.usage_date = recipients.usage_date
    inner join cluster_bills
        on
            pots.billing_period_start_date = cluster_bills.billing_period_start_date
            and pots.usage_date = cluster_bills.usage_date
            and pots.cluster_name is not distinct from cluster_bills.cluster_name
    left join cluster_holdings
        on
            pots.billing_period_start_date = cluster_holdings.billing_period_start_date
            and pots.usage_date = cluster_holdings.usage_date
            and pots.cluster_name is not distinct from cluster_holdings.cluster_name
            and recipients.team_id = cluster_holdings.team_id
)

{%- set pot = [
    'policy_id', 'billing_period_start_date', 'usage_date', 'cluster_name', 'pot_node_key', 'team_id'
] | join(',\n    ') %}

select
    {{ pot }},
    cost_center_id,
    environment,
    weight
from held
where policy_method = 'holders' and policy_scope != 'quota'
union all
select
    {{ pot }},
    max(cost_center_id),
    null,
    1
from held
where policy_method = 'even' and team_id not in ({{ named_owners() }})
group by {{ pot }}
union all
select
    {{ pot }},
    cost_center_id,
    null,
    case
        when policy_method = 'weights' then recipient_weight
        else greatest(
            {{ integer_div(
                'cast(billed_nano_usd as ' ~ wide_integer_type() ~ ') * recipient_weight', 'all_weights'
            ) }} - held_nano_usd,
            0
        )
    end
from named
