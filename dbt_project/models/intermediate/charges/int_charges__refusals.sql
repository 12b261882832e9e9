-- One row per source, refused object, field and reason: how many rows of it, or the whole of it, stand refused.
{{ config(materialized='view') }}

select
    source_name,
    object_uri,
    refused_scope,
    field_name,
    refusal_reason,
    count(*) as refusal_count
from {{ ref('stg_landing__refusals') }}
group by source_name, object_uri, refused_scope, field_name, refusal_reason
