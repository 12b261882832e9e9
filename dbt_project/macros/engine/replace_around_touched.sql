{#-
    Incremental strategy of DuckDB, chosen by `rebuild_touched`, for what looks one day back or ahead (a counter's difference over midnight): every touched
    day and its two neighbours are deleted, then inserted. The model filters by `days_around_touched()` as well.
-#}
{% macro get_incremental_replace_around_touched_sql(arguments) -%}
    {{- replace_keys(arguments, days_around_touched()) -}}
{%- endmacro %}

{#- Query of the touched days with their neighbours, from `days_before` before to `days_after` after each. -#}
{% macro days_around_touched(days_before=1, days_after=1) -%}
    {%- for offset in range(-days_before, days_after + 1) -%}
        select {{ add_days('usage_date', offset) }} as usage_date from {{ source('build', 'touched_days') }}
        {{- '\n        union\n        ' if not loop.last }}
    {%- endfor -%}
{%- endmacro %}
