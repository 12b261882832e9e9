{#- Text of one key of a flat JSON object; null when absent or the column is null. The key is a SQL expression. -#}
{% macro json_text(json_column, key) -%}
    {{ return(adapter.dispatch('json_text', 'wattledger')(json_column, key)) }}
{%- endmacro %}

{% macro duckdb__json_text(json_column, key) -%}
    json_extract_string({{ json_column }}, '$."' || {{ key }} || '"')
{%- endmacro %}

{% macro spark__json_text(json_column, key) -%}
    get_json_object({{ json_column }}, concat("$['", {{ key }}, "']"))
{%- endmacro %}
