{#- Exact median of a group. -#}
{% macro exact_median(value) -%}
    {{ return(adapter.dispatch('exact_median', 'wattledger')(value)) }}
{%- endmacro %}

{% macro duckdb__exact_median(value) -%} median({{ value }}) {%- endmacro %}

{% macro spark__exact_median(value) -%} percentile({{ value }}, 0.5) {%- endmacro %}

{#- Lists of a group, each sorted and comma separated, merged into one such list. -#}
{% macro merged_sorted_text(value) -%}
    {{ return(adapter.dispatch('merged_sorted_text', 'wattledger')(value)) }}
{%- endmacro %}

{% macro duckdb__merged_sorted_text(value) -%}
    array_to_string(
        list_sort(list_distinct(flatten(list(string_split({{ value }}, ',')) filter (where {{ value }} is not null)))), ','
    )
{%- endmacro %}

{% macro spark__merged_sorted_text(value) -%}
    nullif(concat_ws(',', array_sort(array_distinct(flatten(collect_list(split({{ value }}, ',')))))), '')
{%- endmacro %}

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
