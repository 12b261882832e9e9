{#-
    Incremental strategy of DuckDB, chosen by `rebuild_touched`: delete every touched key, then insert what was built
    for the touched keys. Unlike delete+insert, a day or period that has become empty empties. The model's `unique_key`
    names the key column and with it the list: usage_date -> touched_days, billing_period_start_date -> touched_periods.
    What is inserted is filtered as what is deleted, so that a model that yields other keys cannot double them.
-#}
{% macro get_incremental_replace_touched_sql(arguments) -%}
    {%- set key = arguments['unique_key'] -%}
    {{- replace_keys(arguments, 'select ' ~ key ~ ' from ' ~ touched_relation(key)) -}}
{%- endmacro %}

{#- Replace the rows of `keys`, a query, by those that were built for them. -#}
{% macro replace_keys(arguments, keys) -%}
    {%- set columns = arguments['dest_columns'] | map(attribute='quoted') | join(', ') -%}
    delete from {{ arguments['target_relation'] }}
    where {{ arguments['unique_key'] }} in ({{ keys }});
    insert into {{ arguments['target_relation'] }} ({{ columns }})
    select {{ columns }} from {{ arguments['temp_relation'] }}
    where {{ arguments['unique_key'] }} in ({{ keys }})
{%- endmacro %}

{#- The list of keys that the build rebuilds; all of them on a full refresh. -#}
{% macro touched_relation(key) -%}
    {%- if key == 'usage_date' -%}
        {{ source('build', 'touched_days') }}
    {%- elif key == 'billing_period_start_date' -%}
        {{ source('build', 'touched_periods') }}
    {%- else -%}
        {{ exceptions.raise_compiler_error("replace_touched: expected unique_key usage_date or billing_period_start_date, found " ~ key) }}
    {%- endif -%}
{%- endmacro %}
