-- One row per dated owner rule.
with source as (
    select * from {{ source('raw', 'config_owners') }}
),

renamed as (
    select
        rule_id,
        match_on,
        coalesce(match_key, '') as match_key,
        match_value,
        team_id,
        team_name,
        cost_center_id,
        environment,
        priority,
        {{ validity_dates() }}
    from source
)

select * from renamed
