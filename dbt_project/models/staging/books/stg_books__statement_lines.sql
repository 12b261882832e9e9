-- One row per line of a closed statement.
with source as (
    select * from {{ source('raw', 'book_closed_statement_lines') }}
),

renamed as (
    select
        close_id,
        statement_number,
        posting_period_start_date,
        team_id,
        line_number,
        line_kind,
        billing_period_start_date,
        posting_cause,
        provider_name,
        cost_pool,
        cost_center_id,
        charge_mode,
        effective_cost_usd,
        estimated_cost_usd,
        statement_usd
    from source
)

select * from renamed
