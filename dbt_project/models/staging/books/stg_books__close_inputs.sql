-- One row per close, input table and day: a hash of what the close was made from.
with source as (
    select * from {{ source('raw', 'book_close_inputs') }}
),

renamed as (
    select
        close_id,
        input_name,
        usage_date,
        fingerprint as input_fingerprint
    from source
)

select * from renamed
