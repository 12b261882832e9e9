{#- The two dates of a dated fact, half-open, with open ends filled. -#}
{% macro validity_dates() -%}
    coalesce(valid_from, cast('0001-01-01' as date)) as valid_from_date,
    coalesce(valid_to, cast('9999-12-31' as date)) as valid_to_date
{%- endmacro %}

{#- True when a day falls in a dated fact's validity. -#}
{% macro is_valid_on(fact, day_date) -%}
    {{ day_date }} >= {{ fact }}.valid_from_date and {{ day_date }} < {{ fact }}.valid_to_date
{%- endmacro %}
