-- One row per facility, host pattern and validity.
with source as (
    select * from {{ source('raw', 'config_facilities') }}
),

renamed as (
    select
        facility_id,
        hostname_pattern,
        pue,
        power_source,
        power_invoice_account_id,
        source as facility_source,
        {{ validity_dates() }}
    from source
)

select * from renamed
