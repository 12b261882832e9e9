-- One row per close and reopen of a period.
with source as (
    select * from {{ source('raw', 'book_closes') }}
),

renamed as (
    select
        close_id,
        period_start_date,
        revision,
        action as close_action,
        acted_at,
        reason as close_reason,
        accepted_blockers,
        fingerprint as close_fingerprint
    from source
)

select * from renamed
