-- One row per kind of journal entry, cost pool, team and validity: the account it is booked to.
with source as (
    select * from {{ source('raw', 'config_gl_accounts') }}
),

renamed as (
    select
        entry_kind,
        cost_pool,
        team_id,
        account_code,
        account_name,
        {{ validity_dates() }}
    from source
)

select * from renamed
