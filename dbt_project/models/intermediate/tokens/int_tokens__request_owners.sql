-- One row per request subject (its key, gateway team and tags) and day, with the owner, the app and the consumer.
{{ config(rebuild_touched('usage_date')) }}

with subjects as (
    select distinct
        usage_date,
        {{ request_subject() }} as subject_key,
        nullif(api_key_alias, '') as api_key_alias,
        nullif(api_key_hash, '') as api_key_hash,
        nullif(litellm_team_id, '') as litellm_team_id,
        request_tags
    from {{ ref('stg_litellm__requests') }}
    where usage_date in (select usage_date from {{ source('build', 'touched_days') }})
),

tag_values as (
    select distinct
        match_key,
        match_value
    from {{ ref('stg_config__owner_rules') }}
    where match_on = 'tag'
),

candidates as (
    select
        subject_key,
        usage_date,
        'key' as match_on,
        '' as match_key,
        api_key_alias as match_value
    from subjects
    where api_key_alias is not null
    union all
    select
        subject_key,
        usage_date,
        'key',
        '',
        api_key_hash
    from subjects
    where api_key_hash is not null
    union all
    select
        subject_key,
        usage_date,
        'tag',
        'litellm_team_id',
        litellm_team_id
    from subjects
    where litellm_team_id is not null
    union all
    select
        subjects.subject_key,
        subjects.usage_date,
        'tag',
        tag_values.match_key,
        tag_values.match_value
    from subjects
    inner join tag_values
        on position(concat('"', tag_values.match_key, ':', tag_values.match_value, '"') in subjects.request_tags) > 0
),

owners as (
    {{ resolve_owner('candidates') }}
),

tagged as (
    select
        usage_date,
        subject_key,
        coalesce(api_key_alias, api_key_hash, 'unknown') as consumer_id,
        coalesce(
            nullif(regexp_extract(request_tags, '"app:([^"]+)"', 1), ''),
            nullif(regexp_extract(request_tags, '"feature:([^"]+)"', 1), ''),
            'untagged'
        ) as app_id,
        nullif(regexp_extract(request_tags, '"env(ironment)?:([^"]+)"', 2), '') as tagged_environment
    from subjects
)

select
    tagged.usage_date,
    tagged.subject_key,
    coalesce(owners.team_id, 'untagged') as team_id,
    owners.cost_center_id,
    coalesce(owners.environment, tagged.tagged_environment) as environment,
    owners.owner_rule_id,
    tagged.app_id,
    tagged.consumer_id
from tagged
left join owners
    on
        tagged.usage_date = owners.usage_date
        and tagged.subject_key = owners.subject_key
