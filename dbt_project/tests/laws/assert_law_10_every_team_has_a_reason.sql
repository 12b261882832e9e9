-- Ledger rows, of what is not booked, whose team does not follow from what the row names: from its owner rule as
-- owners.csv has it, which must speak of the charge's own tags or account, of the holder's namespace or of the key;
-- from a policy; else it is one of the four named owners. And rows whose columns are not those that they were made of.
{{ config(meta={'dagster': {'ref': {'name': 'fct_cost_ledger'}}}) }}

with ledger as (
    select
        *,
        {{ ledger_key() }} as ledger_key
    from {{ ref('fct_cost_ledger') }} as ledger
    where
        {{ is_rebuilt('billing_period_start_date', key='billing_period_start_date') }}
        -- What a closed month owes goes by the rules of when it was booked.
        and posting_cause is null
        and not exists (
            select 1 from {{ source('raw', 'book_closed_ledger') }} as booked
            where booked.ledger_row_id = ledger.ledger_row_id
        )
),

rules as (
    select
        rule_id,
        match_on,
        match_key,
        match_value,
        team_id,
        cost_center_id,
        {{ validity_dates() }}
    from {{ source('raw', 'config_owners') }}
),

-- What a charge says of itself, in the lines of its bill.
charge_subjects as (
    select distinct
        {{ charge_key() }} as charge_key,
        sub_account_id,
        billing_account_id,
        tags
    from {{ ref('int_charges__lines') }}
    where {{ is_rebuilt('billing_period_start_date', key='billing_period_start_date') }}
),

ruled as (
    select
        ledger.ledger_row_id,
        ledger.charge_key,
        ledger.allocation_step,
        ledger.allocation_method,
        ledger.workload_id,
        ledger.consumer_id,
        ledger.billing_account_id,
        rules.match_on,
        rules.match_key,
        rules.match_value,
        -- What a policy takes from the rule's team, such as the difference to a standard rate, names the rule too.
        coalesce(
            rules.team_id = ledger.team_id
            and rules.cost_center_id is not distinct from ledger.cost_center_id,
            false
        ) or (
            rules.rule_id is not null
            and ledger.policy_id is not null
            and ledger.team_id in ({{ named_owners() }})
        ) as is_rules_team
    from ledger
    left join rules
        on
            ledger.owner_rule_id = rules.rule_id
            and {{ is_valid_on('rules', 'ledger.usage_date') }}
    where ledger.owner_rule_id is not null
),

policy_teams as (
    select recipient_team_id as team_id from {{ source('raw', 'config_allocation_policies') }}
    where recipient_team_id is not null
    union
    select team_id from rules
)

select
    ledger_row_id,
    'not the team of its owner rule' as found
from ruled
where not is_rules_team
union all
select
    ruled.ledger_row_id,
    'a rule that speaks of other tags or accounts'
from ruled
inner join charge_subjects on ruled.charge_key = charge_subjects.charge_key
where
    ruled.allocation_step = 'direct'
    and not case
        when ruled.match_on = 'account'
            then ruled.match_value in (
                coalesce(charge_subjects.sub_account_id, ''), charge_subjects.billing_account_id
            )
        else coalesce({{ json_text('charge_subjects.tags', 'ruled.match_key') }}, '') = ruled.match_value
    end
union all
select
    ledger_row_id,
    'a rule of another namespace'
from ruled
where
    allocation_step = 'held' and match_on = 'namespace'
    and split_part(workload_id, '/', 1) != match_value
union all
select
    ledger_row_id,
    'no rule, no policy and no named owner'
from ledger
where
    owner_rule_id is null
    and policy_id is null
    and allocation_step != 'adjustment'
    and team_id not in ({{ named_owners() }})
union all
select
    ledger_row_id,
    'a team that neither a policy nor a rule names'
from ledger
where
    owner_rule_id is null
    and policy_id is not null
    and team_id not in ({{ named_owners() }})
    and team_id not in (select team_id from policy_teams)
union all
select
    ledger_row_id,
    'columns that are not those of its id'
from ledger
where ledger_row_id != md5(concat_ws('|', ledger_key, cast(posting_period_start_date as string)))
