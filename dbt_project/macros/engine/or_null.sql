{#- An expression, null where its value does not fit its type: what a figure beside the money may say, and no sum. -#}
{% macro or_null(expression) -%}
    {{ return(adapter.dispatch('or_null', 'wattledger')(expression)) }}
{%- endmacro %}

{% macro duckdb__or_null(expression) -%} try({{ expression }}) {%- endmacro %}

{#- Without ANSI mode, Spark's own arithmetic does so. -#}
{% macro spark__or_null(expression) -%} {{ expression }} {%- endmacro %}
