-- One row per charge group, day, owner and method: the saving of commitments, shared by policy. Effective cost alone
-- moves: billed, list and contracted cost stay where they are. pool_rate: a family of usage has one rate for everybody.
-- central: usage pays the price without commitments, and `shared` has the saving.
with central as (
    select
        charge_key,
        usage_date,
        team_id,
        cost_center_id,
        environment,
        is_estimate,
        is_listed,
        is_contracted,
        policy_id,
        {{ from_nano('uncommitted_nano_usd - effective_nano_usd') }} as saving_usd
    from {{ ref('int_charges__commitment_families') }}
    where policy_method = 'central' and is_covered and uncommitted_nano_usd != effective_nano_usd
),

both_sides as (
    select
        charge_key,
        usage_date,
        team_id,
        cost_center_id,
        environment,
        'commitment_pool_rate' as allocation_method,
        is_estimate,
        is_listed,
        is_contracted,
        policy_id,
        -gift_usd as moved_usd
    from {{ ref('int_charges__pool_rate_gifts') }}
    union all
    select
        charge_key,
        usage_date,
        taker_team_id,
        taker_cost_center_id,
        taker_environment,
        'commitment_pool_rate',
        is_estimate,
        is_listed,
        is_contracted,
        policy_id,
        gift_usd
    from {{ ref('int_charges__pool_rate_gifts') }}
    union all
    select
        charge_key,
        usage_date,
        team_id,
        cost_center_id,
        environment,
        'commitment_saving_to_shared',
        is_estimate,
        is_listed,
        is_contracted,
        policy_id,
        saving_usd
    from central
    union all
    select
        charge_key,
        usage_date,
        'shared',
        null,
        null,
        'commitment_saving_to_shared',
        is_estimate,
        is_listed,
        is_contracted,
        policy_id,
        -saving_usd
    from central
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
    'commitment' as allocation_step,
    allocation_method,
    is_estimate,
    cast(null as string) as owner_rule_id,
    cast(null as string) as price_set_id,
    policy_id,
    cast(0 as decimal(38, 9)) as billed_cost_usd,
    {{ usd_sum('moved_usd') }} as effective_cost_usd,
    case when is_listed then cast(0 as decimal(38, 9)) end as list_cost_usd,
    case when is_contracted then cast(0 as decimal(38, 9)) end as contracted_cost_usd
from both_sides
group by all
