-- One row per team, email address and validity.
with source as (
    select * from {{ source('raw', 'config_recipients') }}
),

renamed as (
    select
        team_id,
        email,
        {{ validity_dates() }}
    from source
)

select * from renamed
