-- One row per journal line of a closed period.
with source as (
    select * from {{ source('raw', 'book_closed_journal') }}
),

renamed as (
    select
        close_id,
        posting_period_start_date,
        line_number,
        entry_kind,
        account_code,
        account_name,
        team_id,
        cost_center_id,
        provider_name,
        debit_usd,
        credit_usd,
        description as line_text
    from source
)

select * from renamed
