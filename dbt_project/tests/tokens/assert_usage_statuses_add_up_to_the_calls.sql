-- What a day's token figures rest on: the calls by usage status are all the calls, of consumers and in the mart.
{{ config(meta={'dagster': {'ref': {'name': 'fct_unit_costs_daily'}}}) }}

{%- for relation in ['int_tokens__consumer_days', 'fct_unit_costs_daily'] %}
select
    '{{ relation }}' as relation_name,
    usage_date,
    model_id,
    request_count
from {{ ref(relation) }}
where request_count != {{ usage_statuses(joint='+') }}
{{ 'union all' if not loop.last }}
{%- endfor %}
