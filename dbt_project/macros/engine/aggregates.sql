{#- Exact median of a group. -#}
{% macro exact_median(value) -%}
    {{ return(adapter.dispatch('exact_median', 'wattledger')(value)) }}
{%- endmacro %}

{% macro duckdb__exact_median(value) -%} median({{ value }}) {%- endmacro %}

{% macro spark__exact_median(value) -%} percentile({{ value }}, 0.5) {%- endmacro %}

{#- Distinct texts of a group, sorted, comma separated. -#}
{% macro array_sorted_distinct_text(value) -%}
    {{ return(adapter.dispatch('array_sorted_distinct_text', 'wattledger')(value)) }}
{%- endmacro %}

{% macro duckdb__array_sorted_distinct_text(value) -%}
    string_agg(distinct {{ value }}, ',' order by {{ value }})
{%- endmacro %}

{% macro spark__array_sorted_distinct_text(value) -%}
    concat_ws(',', array_sort(collect_set({{ value }})))
{%- endmacro %}
