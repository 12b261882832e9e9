-- One row per charge group and day that is not divided: it goes to its owner, or to one of the four named owners.
select
    charge_key,
    usage_date,
    case
        when owner_rule_id is not null then owner_team_id
        when cost_pool in ('unused_commitment', 'owned_hardware') then 'unallocated'
        when cost_pool in ('tax', 'credit', 'support', 'commitment_purchase') then 'shared'
        when is_claimed_by_unknown_tag then 'unknown'
        else 'untagged'
    end as team_id,
    owner_cost_center_id as cost_center_id,
    coalesce(owner_environment, tagged_environment) as environment,
    case
        when owner_rule_id is not null then 'direct'
        when cost_pool in ('tax', 'credit', 'support', 'commitment_purchase') then 'shared'
        else 'unallocated'
    end as allocation_step,
    case
        when owner_rule_id is not null then concat(owner_match_on, '_owner_rule')
        when cost_pool = 'unused_commitment' then 'unused_commitment'
        when cost_pool = 'owned_hardware' then 'no_use_reported'
        when cost_pool in ('tax', 'credit', 'support', 'commitment_purchase') then 'serves_everyone'
        when is_claimed_by_unknown_tag then 'tag_without_rule'
        else 'no_owner_rule'
    end as allocation_method,
    max(owner_rule_id) as owner_rule_id,
    {{ costs(usd_sum('$') ~ ' as $') }}
from {{ ref('int_charges__routed') }}
where route in ('owned', 'rest')
group by all
