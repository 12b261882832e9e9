{#- Text without what matches a pattern (a SQL expression), everywhere in it. -#}
{% macro remove_matches(text, pattern) -%}
    {{ return(adapter.dispatch('remove_matches', 'wattledger')(text, pattern)) }}
{%- endmacro %}

{% macro duckdb__remove_matches(text, pattern) -%} regexp_replace({{ text }}, {{ pattern }}, '', 'g') {%- endmacro %}

{% macro spark__remove_matches(text, pattern) -%} regexp_replace({{ text }}, {{ pattern }}, '') {%- endmacro %}
