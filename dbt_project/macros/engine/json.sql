{#- Text of one key of a flat JSON object; null when absent, or when the column is null or no JSON (exports carry such
    tags, and one of them must not stop a build). The key is a SQL expression. -#}
{% macro json_text(json_column, key) -%}
    {{ return(adapter.dispatch('json_text', 'wattledger')(json_column, key)) }}
{%- endmacro %}

{% macro duckdb__json_text(json_column, key) -%}
    case
        when json_valid({{ json_column }})
            then json_extract_string({{ json_column }}, '/' || replace(replace({{ key }}, '~', '~0'), '/', '~1'))
    end
{%- endmacro %}

{% macro spark__json_text(json_column, key) -%}
    get_json_object({{ json_column }}, concat("$['", {{ key }}, "']"))
{%- endmacro %}
