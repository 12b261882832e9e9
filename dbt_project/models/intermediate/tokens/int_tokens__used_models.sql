-- One row per day, gateway provider and model that a gateway called, or that its provider says was used.
{{ config(rebuild_touched('usage_date')) }}

with named as (
    select
        usage_date,
        gateway_provider,
        gateway_model
    from {{ ref('stg_litellm__requests') }}
    union
    select
        usage_date,
        gateway_provider,
        gateway_model
    from {{ ref('int_tokens__provider_results') }}
    where report = 'usage' and gateway_model is not null
)

select
    usage_date,
    gateway_provider,
    gateway_model,
    {{ model_id() }} as model_id
from named
where usage_date in (select usage_date from {{ source('build', 'touched_days') }})
