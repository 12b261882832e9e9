{#- Schemas are named as the folders say (staging, intermediate, marts), without the target's own as prefix. -#}
{% macro generate_schema_name(custom_schema_name, node) -%}
    {{ custom_schema_name | trim if custom_schema_name is not none else target.schema }}
{%- endmacro %}
