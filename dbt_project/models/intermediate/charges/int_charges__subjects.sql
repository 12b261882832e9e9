-- One row per charge group, workload, consumer, step and owner of the billing periods being built, with what a rule of
-- owners.csv could know it by: who owns what, so that what nobody owns can be compared with it.
-- A pod is known by its namespace, a gateway call by its key, a charge by a tag's value, else by its account.
with tag_keys as (
    select distinct match_key
    from {{ ref('stg_config__owner_rules') }}
    where match_on = 'tag'
),

charges as (
    select
        charge_key,
        max(sub_account_id) as sub_account_id,
        max(tags) as tags
    from {{ ref('int_charges__routed') }}
    group by charge_key
),

claims as (
    select
        charges.charge_key,
        tag_keys.match_key,
        {{ json_text('charges.tags', 'tag_keys.match_key') }} as match_value
    from charges
    cross join tag_keys
    where charges.tags is not null
),

first_claims as (
    select *
    from claims
    where match_value != ''
    qualify row_number() over (partition by charge_key order by match_key nulls last) = 1
),

known as (
    select
        standing.charge_key,
        standing.billing_period_start_date,
        standing.team_id,
        standing.owner_rule_id,
        standing.consumer_id,
        standing.workload_id,
        standing.effective_cost_usd,
        standing.allocation_step,
        standing.resource_id,
        standing.provider_name,
        coalesce(charges.sub_account_id, standing.billing_account_id) as account_id,
        case
            when standing.allocation_step = 'held' then 'namespace'
            when standing.allocation_step = 'token' and standing.consumer_id != 'unknown' then 'key'
            when first_claims.match_value is not null then 'tag'
            else 'account'
        end as match_on,
        case
            when standing.allocation_step = 'held' then standing.workload_id
            when standing.allocation_step = 'token' and standing.consumer_id != 'unknown' then standing.consumer_id
            else coalesce(standing.resource_id, standing.service_name, standing.cost_pool)
        end as resource_id_or_name,
        first_claims.match_key as claimed_key,
        first_claims.match_value as claimed_value
    from {{ ref('int_charges__current') }} as standing
    left join charges on standing.charge_key = charges.charge_key
    left join first_claims on standing.charge_key = first_claims.charge_key
)

select
    charge_key,
    billing_period_start_date,
    provider_name,
    account_id,
    resource_id,
    workload_id,
    consumer_id,
    allocation_step,
    match_on,
    case when match_on = 'tag' then claimed_key else '' end as match_key,
    case match_on
        when 'namespace' then split_part(resource_id_or_name, '/', 1)
        when 'key' then resource_id_or_name
        when 'tag' then claimed_value
        else account_id
    end as match_value,
    coalesce(resource_id_or_name, 'unknown') as thing_id,
    team_id,
    max(owner_rule_id) as owner_rule_id,
    team_id in ('untagged', 'unknown') as is_unowned,
    {{ usd_sum('effective_cost_usd') }} as effective_cost_usd
from known
group by all
