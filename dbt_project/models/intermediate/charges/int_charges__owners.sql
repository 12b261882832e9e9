-- One row per charge owner subject (its tags and accounts) and day that an owner rule speaks for, or whose tags
-- claim an owner no rule knows (`owner_rule_id` null).
with subjects as (
    select distinct
        {{ charge_owner_subject() }} as subject_key,
        usage_date,
        tags,
        sub_account_id,
        billing_account_id
    from {{ ref('int_charges__days') }}
),

tag_keys as (
    select distinct match_key
    from {{ ref('stg_config__owner_rules') }}
    where match_on = 'tag'
),

tag_claims as (
    select
        subjects.subject_key,
        subjects.usage_date,
        'tag' as match_on,
        tag_keys.match_key,
        {{ json_text('subjects.tags', 'tag_keys.match_key') }} as match_value
    from subjects
    cross join tag_keys
    where subjects.tags is not null
),

candidates as (
    select * from tag_claims
    where match_value is not null
    union all
    select
        subject_key,
        usage_date,
        'account',
        '',
        sub_account_id
    from subjects
    where sub_account_id is not null
    union all
    select
        subject_key,
        usage_date,
        'account',
        '',
        billing_account_id
    from subjects
    where sub_account_id is null or sub_account_id != billing_account_id
),

owners as (
    {{ resolve_owner('candidates') }}
),

claimed as (
    select distinct
        subject_key,
        usage_date
    from tag_claims
    where match_value is not null and match_value != ''
)

select
    coalesce(owners.subject_key, claimed.subject_key) as subject_key,
    coalesce(owners.usage_date, claimed.usage_date) as usage_date,
    owners.owner_rule_id,
    owners.owner_match_on,
    owners.owner_match_value,
    owners.team_id,
    owners.cost_center_id,
    owners.environment
from owners
full outer join claimed
    on
        owners.subject_key = claimed.subject_key
        and owners.usage_date = claimed.usage_date
