{#- Whole milliseconds from one UTC timestamp to another. -#}
{% macro milliseconds_between(start_at, end_at) -%}
    {{ return(adapter.dispatch('milliseconds_between', 'wattledger')(start_at, end_at)) }}
{%- endmacro %}

{% macro duckdb__milliseconds_between(start_at, end_at) -%}
    date_diff('millisecond', {{ start_at }}, {{ end_at }})
{%- endmacro %}

{% macro spark__milliseconds_between(start_at, end_at) -%}
    timestampdiff(millisecond, {{ start_at }}, {{ end_at }})
{%- endmacro %}

{#- A UTC timestamp some whole hours later. -#}
{% macro add_hours(timestamp_at, hours) -%}
    {{ return(adapter.dispatch('add_hours', 'wattledger')(timestamp_at, hours)) }}
{%- endmacro %}

{% macro duckdb__add_hours(timestamp_at, hours) -%}
    ({{ timestamp_at }} + to_hours({{ hours }}))
{%- endmacro %}

{% macro spark__add_hours(timestamp_at, hours) -%}
    timestampadd(hour, {{ hours }}, {{ timestamp_at }})
{%- endmacro %}

{#- A date some whole days later. -#}
{% macro add_days(day_date, days) -%}
    {{ return(adapter.dispatch('add_days', 'wattledger')(day_date, days)) }}
{%- endmacro %}

{% macro duckdb__add_days(day_date, days) -%}
    (cast({{ day_date }} as date) + cast({{ days }} as integer))
{%- endmacro %}

{% macro spark__add_days(day_date, days) -%}
    date_add(cast({{ day_date }} as date), cast({{ days }} as int))
{%- endmacro %}
