-- One row per allocation policy, team that it names and charged day: the team's weight, and its cost centre of the day.
with charged_days as (
    select distinct usage_date
    from {{ ref('int_charges__days') }}
)

select
    policies.policy_id,
    charged_days.usage_date,
    policies.recipient_team_id as team_id,
    owner_rules.cost_center_id,
    policies.recipient_weight,
    policies.recipient_share
from {{ ref('stg_config__allocation_policies') }} as policies
inner join charged_days on {{ is_valid_on('policies', 'charged_days.usage_date') }}
left join {{ ref('stg_config__owner_rules') }} as owner_rules
    on
        policies.recipient_team_id = owner_rules.team_id
        and {{ is_valid_on('owner_rules', 'charged_days.usage_date') }}
where policies.recipient_team_id is not null
qualify row_number() over (
    partition by policies.policy_id, charged_days.usage_date, policies.recipient_team_id
    order by owner_rules.priority nulls last, owner_rules.rule_id
) = 1
