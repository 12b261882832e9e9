{#- First day of the month after the one that a first day of a month begins. -#}
{% macro next_month(month_start_date) -%}
    cast(date_trunc('month', {{ add_days(month_start_date, 31) }}) as date)
{%- endmacro %}
