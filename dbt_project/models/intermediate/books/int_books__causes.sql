-- One row per charge group and day of the billing periods being built: why it would differ from what is booked, the
-- first that holds of late, fx, price, mapping, policy, code.
with booked_totals as (
    select
        *,
        {{ costs('sum($) over (partition by ledger_key) as total_$') }},
        row_number() over (partition by ledger_key order by posting_period_start_date desc nulls last) as age
    from {{ ref('int_books__booked') }}
),

-- What an earlier correction has already taken back says nothing of how the charge stood.
standing as (
    select *
    from booked_totals
    where age = 1 and ({{ costs('total_$ != 0', joint='or') }})
),

{%- for side, relation in [('booked', 'standing'), ('standing_now', ref('int_charges__current'))] %}

{{ side }} as (
    select
        charge_key,
        usage_date,
        max(charge_version) as charge_version,
        max(usd_per_unit) as usd_per_unit,
        max(provider_name) as provider_name,
        max(cost_pool) as cost_pool,
        max(allocation_step = 'accrual') as is_accrual,
        max(allocation_method like '%_to_its_%' or allocation_method like '%_buyer') as is_following,
        {{ array_sorted_distinct_text('price_set_id') }} as price_set_ids,
        {{ array_sorted_distinct_text('owner_rule_id') }} as owner_rule_ids,
        {{ array_sorted_distinct_text('policy_id') }} as policy_ids,
        {{ array_sorted_distinct_text('team_id') }} as team_ids
    from {{ relation }}
    group by charge_key, usage_date
),
{%- endfor %}

use_changes as (
    select distinct
        usage_date,
        case when input_name = 'litellm_requests' then 'llm_api' else 'cluster_nodes' end as cost_pool
    from {{ ref('int_books__changed_inputs') }}
    where input_name in ('opencost_allocations', 'dcgm_samples', 'litellm_requests')
),

config_changes as (
    select
        coalesce(max(input_name in (
            'config_tariffs', 'config_facilities', 'config_owned_hardware', 'config_rate_cards'
        )), false) as is_own_price_changed,
        coalesce(max(input_name in ('config_owners', 'config_serving_pools')), false) as is_mapping_changed,
        coalesce(max(input_name in (
            'config_policies', 'config_allocation_policies', 'config_quotas'
        )), false) as is_policy_changed
    from {{ ref('int_books__changed_inputs') }}
)

select
    coalesce(standing_now.charge_key, booked.charge_key) as charge_key,
    coalesce(standing_now.usage_date, booked.usage_date) as usage_date,
    case
        when standing_now.charge_key is null or booked.charge_key is null then 'late'
        when standing_now.is_accrual or booked.is_accrual then 'late'
        when use_changes.usage_date is not null then 'late'
        when standing_now.provider_name = 'owned' and config_changes.is_own_price_changed then 'price'
        when (standing_now.charge_version is distinct from booked.charge_version) then 'late'
        when (standing_now.usd_per_unit is distinct from booked.usd_per_unit) then 'fx'
        when (standing_now.price_set_ids is distinct from booked.price_set_ids) then 'price'
        when (standing_now.owner_rule_ids is distinct from booked.owner_rule_ids) then 'mapping'
        when (standing_now.policy_ids is distinct from booked.policy_ids) then 'policy'
        -- A rule or a policy may change what it says and keep its name.
        when
            config_changes.is_mapping_changed and (standing_now.team_ids is distinct from booked.team_ids)
            then 'mapping'
        when config_changes.is_policy_changed then 'policy'
        -- The charge that a credit, a correction or an unused commitment follows is not what it was.
        when standing_now.is_following or booked.is_following then 'late'
        else 'code'
    end as posting_cause
from standing_now
full outer join booked
    on
        standing_now.charge_key = booked.charge_key
        and standing_now.usage_date = booked.usage_date
cross join config_changes
left join use_changes
    on
        coalesce(standing_now.usage_date, booked.usage_date) = use_changes.usage_date
        and coalesce(standing_now.cost_pool, booked.cost_pool) = use_changes.cost_pool
