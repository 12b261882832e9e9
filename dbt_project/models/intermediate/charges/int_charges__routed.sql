-- One row per admitted charge group, interval and day: where it goes first.
-- owned: a tag names its owner, or the provider billed an API model to a project that a rule knows · token: an
-- API-model charge · node: a machine that OpenCost knows · rest: all else.
with charge_groups as (
    select
        *,
        {{ charge_owner_subject() }} as subject_key,
        charge_category = 'Usage'
        and (
            service_subcategory = 'Generative AI'
            or (service_subcategory is null and service_category = 'AI and Machine Learning')
        ) as is_api_model_charge
    from {{ ref('int_charges__days') }}
),

node_days as (
    select distinct
        node_key,
        usage_date
    from {{ ref('int_charges__allocation_hours') }}
),

owned as (
    select
        charge_groups.*,
        coalesce(aliases.provider_name, charge_groups.provider_name) as gateway_provider_name,
        owners.owner_rule_id,
        owners.owner_match_on,
        coalesce(owners.owner_match_value = charge_groups.sub_account_id, false) as is_sub_account_owned,
        owners.team_id as owner_team_id,
        owners.cost_center_id as owner_cost_center_id,
        owners.environment as owner_environment,
        owners.subject_key is not null and owners.owner_rule_id is null as is_claimed_by_unknown_tag,
        {{ json_text('charge_groups.tags', "'environment'") }} as tagged_environment,
        charge_groups.charge_category = 'Usage'
        and coalesce(charge_groups.commitment_discount_status, 'Used') != 'Unused'
        and exists (
            select 1 from node_days
            where
                charge_groups.node_key = node_days.node_key
                and node_days.usage_date >= charge_groups.usage_date
                and node_days.usage_date < charge_groups.charge_end_at
        ) as is_node_charge
    from charge_groups
    left join {{ ref('int_charges__owners') }} as owners
        on
            charge_groups.subject_key = owners.subject_key
            and charge_groups.usage_date = owners.usage_date
    left join {{ ref('provider_aliases') }} as aliases on lower(charge_groups.provider_name) = aliases.provider_alias
)

select
    *,
    case
        when is_node_charge then 'cluster_nodes'
        when provider_name = 'owned' then 'owned_hardware'
        when commitment_discount_status = 'Unused' then 'unused_commitment'
        when is_api_model_charge then 'llm_api'
        when charge_category = 'Tax' then 'tax'
        when charge_category in ('Credit', 'Adjustment') then 'credit'
        when charge_category = 'Purchase' and commitment_discount_id is not null then 'commitment_purchase'
        when service_name like '%Support%' then 'support'
        else 'cloud_services'
    end as cost_pool,
    case
        when owner_match_on = 'tag' then 'owned'
        -- The provider's own attribution of tokens is exact; the gateway's weights are not.
        when is_api_model_charge and owner_match_on = 'account' and is_sub_account_owned then 'owned'
        when is_api_model_charge then 'token'
        when is_node_charge then 'node'
        else 'rest'
    end as route
from owned
