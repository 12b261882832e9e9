-- One row per day, provider and model: what a request or token without a price is taken to expose.
-- A request without usage is taken to be the mean of the metered requests of the model and day; without any, unknown.
{{ config(rebuild_touched('usage_date')) }}

with model_days as (
    select
        usage_date,
        provider_name,
        model_id,
        sum(metered_request_count) as metered_request_count,
        sum(input_tokens) as input_tokens,
        sum(output_tokens) as output_tokens
    from {{ ref('int_tokens__request_hours') }}
    where usage_date in (select usage_date from {{ source('build', 'touched_days') }})
    group by usage_date, provider_name, model_id
),

rated as (
    select
        *,
        cast({{ nano_usd(policy_number('unpriced_exposure_usd_per_mtok.input', 3)) }} as bigint)
            as input_nano_usd_per_mtok,
        cast({{ nano_usd(policy_number('unpriced_exposure_usd_per_mtok.output', 15)) }} as bigint)
            as output_nano_usd_per_mtok
    from model_days
)

select
    usage_date,
    provider_name,
    model_id,
    input_nano_usd_per_mtok,
    output_nano_usd_per_mtok,
    cast({{ integer_div(
        token_cost_nano([
            ('input_tokens', 'input_nano_usd_per_mtok'), ('output_tokens', 'output_nano_usd_per_mtok')
        ]),
        'metered_request_count'
    ) }} as bigint) as exposure_nano_usd_per_unmetered_request
from rated
