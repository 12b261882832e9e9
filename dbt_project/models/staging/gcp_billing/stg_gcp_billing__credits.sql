-- One row per credit of a row of Google Cloud's billing export, in the currency it was billed in.
with source as (
    select * from {{ source('raw', 'gcp_billing_rows') }}
),

exploded as (
    select
        _source as source_name,
        _object as object_uri,
        _position as object_position,
        billing_account_id,
        currency as currency_code,
        billing_period_date as billing_period_start_date,
        {{ explode_records('credits', ['type', 'id', 'name', 'amount']) }} as credit
    from source
)

select
    source_name,
    object_uri,
    object_position,
    billing_account_id,
    currency_code,
    credit.type as credit_type,
    credit.id as credit_id,
    credit.name as credit_name,
    cast(credit.amount as decimal(38, 18)) as credit_local,
    billing_period_start_date
from exploded
