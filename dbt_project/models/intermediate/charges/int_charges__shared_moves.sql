-- One row per charge group, day, owner and method: shared cost, tax, credits, support and unused commitments leave
-- where they stand for whom a policy names or whose charges they follow, to the nano-dollar. What finds no charges to
-- follow stays, and its method says so.
with pots as (
    select pot_key, team_id, cost_center_id, weight
    from {{ ref('int_charges__shared_pots') }}
    union all
    select pot_key, team_id, cost_center_id, weight
    from {{ ref('int_charges__named_pots') }}
    where pot_key in (select first_pot_key from {{ ref('int_charges__shared_rows') }})
),

pot_keys as (
    select distinct pot_key
    from pots
),

followed as (
    select
        shared_rows.*,
        coalesce(first_pots.pot_key, second_pots.pot_key) as pot_key,
        case
            when named_method is not null then named_method
            when portion = 'follow_invoice' and first_pots.pot_key is null and second_pots.pot_key is not null
                then 'tax_by_account'
            when portion = 'follow_invoice' then 'tax_by_invoice'
            when portion = 'holders' then concat(subject, '_by_charges_of_', policy_scope)
            when portion = 'even' then concat(subject, '_evenly')
            when portion = 'weights' then concat(subject, '_by_weights')
            when portion = 'central' then concat(subject, '_to_shared')
            else concat(subject, '_to_', portion)
        end as method
    from {{ ref('int_charges__shared_rows') }} as shared_rows
    left join pot_keys as first_pots on shared_rows.first_pot_key = first_pots.pot_key
    left join pot_keys as second_pots on shared_rows.second_pot_key = second_pots.pot_key
),

-- A buyer or a charge that is not known moves nothing.
moving as (
    select *
    from followed
    where
        pot_key is not null
        or portion in ('recipient', 'weights', 'holders', 'even', 'follow_invoice')
        or (portion = 'central' and subject = 'unused_commitment')
),

leaving as (
    select
        charge_key,
        usage_date,
        team_id as leaving_team_id,
        subject,
        portion,
        policy_id,
        pot_key,
        method,
        is_estimate,
        {{ costs(usd_sum('$') ~ ' as $') }}
    from moving
    group by all
),

recipients as (
    select
        leaving.*,
        coalesce(pots.team_id, named.team_id, case when portion = 'central' then 'shared' end) as team_id,
        coalesce(pots.cost_center_id, named.cost_center_id) as cost_center_id,
        case
            when pots.team_id is not null then pots.weight
            when portion = 'weights' then named.recipient_weight
            else 1
        end as weight
    from leaving
    left join pots on leaving.pot_key = pots.pot_key
    left join {{ ref('int_charges__policy_recipients') }} as named
        on
            leaving.pot_key is null
            and leaving.portion in ('recipient', 'weights')
            and leaving.policy_id = named.policy_id
            and leaving.usage_date = named.usage_date
),

split as (
    {{ split_usd(
        'recipients',
        parent=[
            'charge_key', 'usage_date', 'leaving_team_id', 'portion', 'policy_id', 'pot_key', 'method', 'is_estimate'
        ],
        weight='weight',
        tie='team_id nulls last, cost_center_id nulls last'
    ) }}
),

both_sides as (
    select
        {{ ledger_grain() | replace('allocation_step', "'shared' as allocation_step")
            | replace('allocation_method', 'method as allocation_method') }},
        policy_id,
        {{ costs('-$ as $') }}
    from moving
    union all
    select
        charge_key,
        usage_date,
        coalesce(team_id, leaving_team_id),
        cost_center_id,
        null,
        null,
        null,
        null,
        'shared',
        case when team_id is null then concat(subject, '_without_charges') else method end,
        is_estimate or is_even_split,
        policy_id,
        {{ costs('split_$') }}
    from split
)

select
    {{ ledger_grain() }},
    cast(null as string) as owner_rule_id,
    cast(null as string) as price_set_id,
    max(policy_id) as policy_id,
    {{ costs(usd_sum('$') ~ ' as $') }}
from both_sides
group by {{ ledger_grain() }}
