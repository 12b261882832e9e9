-- One row per result of a provider's usage or cost report, each day of a source told once: of the objects that tell of
-- it, saved again or asked for with other groups, the last by name counts.
{{ config(materialized='view') }}

select
    results.*,
    coalesce(providers.provider_name, results.gateway_provider) as provider_name,
    -- Longer prompts may have another price, and only their window says which they were.
    case when results.context_window like '200k%' then 200001 else 0 end as least_input_tokens
from {{ ref('stg_provider_costs__results') }} as results
left join {{ ref('gateway_providers') }} as providers
    on results.gateway_provider = providers.gateway_provider
qualify dense_rank() over (
    partition by
        results.source_name, results.gateway_provider, results.report, coalesce(results.service, ''), results.usage_date
    order by results.object_uri desc nulls last
) = 1
