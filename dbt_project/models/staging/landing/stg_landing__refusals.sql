-- One row per row, object or delivery that stands refused, with its reason.
with source as (
    select * from {{ source('raw', 'quarantine') }}
),

renamed as (
    select
        source_name,
        object_uri,
        scope as refused_scope,
        position as object_position,
        field as field_name,
        reason as refusal_reason
    from source
)

select * from renamed
