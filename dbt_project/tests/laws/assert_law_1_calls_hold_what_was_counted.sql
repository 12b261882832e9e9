-- Law 1 for tokens: per day, calls and tokens by class in the mart are those that landing counted in the logs, less the
-- lines of calls that a log says more than once. Which line of a call counts is found again here, from the lake.
{{ config(meta={'dagster': {'ref': {'name': 'fct_unit_costs_daily'}}}) }}

{%- set input_tokens = 'coalesce(prompt_tokens, total_tokens - completion_tokens)' %}
{%- set output_tokens = 'coalesce(completion_tokens, total_tokens - prompt_tokens)' %}
{%- set input_parts = [
    'cache_read_tokens', 'cache_write_5m_tokens', 'cache_write_1h_tokens', 'cache_write_other_tokens',
    'audio_input_tokens', 'image_input_tokens'
] %}
{%- set output_parts = ['reasoning_tokens', 'audio_output_tokens', 'image_output_tokens'] %}

{#- By the column of the mart, what landing summed and what a line says. #}
{%- set classes = {
    'total_tokens': ['input_tokens', 'output_tokens'],
    'cache_read_tokens': ['cache_read_tokens'],
    'cache_write_5m_tokens': ['cache_write_5m_tokens'],
    'cache_write_1h_tokens': ['cache_write_1h_tokens'],
    'cache_write_other_tokens': ['cache_write_other_tokens'],
    'output_reasoning_tokens': ['reasoning_tokens'],
    'audio_tokens': ['audio_input_tokens', 'audio_output_tokens'],
    'image_tokens': ['image_input_tokens', 'image_output_tokens'],
} %}
{%- set measures = ['request_count'] + classes.keys() | list %}
{%- set counted_sums = ["sum(case when measure = 'row_count' then total end) as request_count"] %}
{%- set repeated_sums = ['count(*) as request_count'] %}
{%- for name, columns in classes.items() %}
    {%- do counted_sums.append(
        "sum(case when measure in ('" ~ columns | join("', '") ~ "') then total end) as " ~ name
    ) %}
    {%- do repeated_sums.append(
        'sum(case when is_metered then coalesce(' ~ columns | join(', 0) + coalesce(') ~ ', 0) end) as ' ~ name
    ) %}
{%- endfor %}

with counted as (
    select
        partition_date as usage_date,
        {{ counted_sums | join(',\n        ') }}
    from {{ source('raw', 'control_totals') }}
    where table_name = 'litellm_requests' and {{ is_rebuilt('partition_date') }}
    group by partition_date
),

lines as (
    select
        usage_date,
        row_number() over (
            partition by
                usage_date,
                case
                    when litellm_call_id != '' then litellm_call_id
                    when request_id != '' then request_id
                    else concat(_object, '#', cast(_position as string))
                end
            order by
                case when usage_status = 'reported' then 0 when usage_status = 'reported_zero' then 1 else 2 end,
                ended_at desc nulls last,
                _object,
                _position
        ) as line_rank,
        coalesce(usage_status, 'missing') != 'missing'
        and {{ input_tokens }} is not null and {{ output_tokens }} is not null as is_metered,
        greatest({{ input_tokens }}, coalesce({{ input_parts | join(', 0) + coalesce(') }}, 0)) as input_tokens,
        greatest({{ output_tokens }}, coalesce({{ output_parts | join(', 0) + coalesce(') }}, 0)) as output_tokens,
        {{ (input_parts + output_parts) | join(',\n        ') }}
    from {{ source('litellm', 'litellm_requests') }}
    where {{ is_rebuilt('usage_date') }}
),

repeated as (
    select
        usage_date,
        {{ repeated_sums | join(',\n        ') }}
    from lines
    where line_rank > 1
    group by usage_date
),

sides as (
    select
        usage_date,
        {{ measures | join(',\n        ') }}
    from counted
    union all
    select
        usage_date,
        -{{ measures | join(',\n        -') }}
    from repeated
    union all
    select
        usage_date,
        -{{ measures | join(',\n        -') }}
    from {{ ref('fct_unit_costs_daily') }}
    where {{ is_rebuilt('usage_date') }}
)

select
    usage_date,
    coalesce(sum({{ measures | join('), 0),\n    coalesce(sum(') }}), 0)
from sides
group by usage_date
having coalesce(sum({{ measures | join('), 0) != 0\n    or coalesce(sum(') }}), 0) != 0
