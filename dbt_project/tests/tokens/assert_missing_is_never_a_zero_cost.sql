-- A cost and a reason for its absence exclude each other; a cost of 0 needs calls that really cost nothing.
{{ config(meta={'dagster': {'ref': {'name': 'int_tokens__requests'}}}) }}

select
    usage_date,
    call_id
from {{ ref('int_tokens__requests') }}
where
    (calculated_cost_usd is null) != (unpriced_reason is not null)
    or (calculated_cost_usd = 0 and not is_cache_hit and price_set_id is null and input_tokens + output_tokens > 0)
