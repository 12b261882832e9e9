{#- Key of a pot of charges: its kind, its billing period, and what names it within. Hashed one by one, so that no text
    runs into the next. -#}
{% macro pot_key(kind, columns, prefix='') -%}
    concat_ws('|', '{{ kind }}', cast({{ prefix }}billing_period_start_date as string)
        {%- for column in columns %}, md5({{ prefix }}{{ column }}){% endfor %})
{%- endmacro %}
