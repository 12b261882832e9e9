-- One row per policy.
with source as (
    select * from {{ source('raw', 'config_policies') }}
),

renamed as (
    select
        policy_key,
        policy_value
    from source
)

select * from renamed
