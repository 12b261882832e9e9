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

{#- A date some whole months later; the month's last day where that month is too short. -#}
{% macro add_months(day_date, months) -%}
    {{ return(adapter.dispatch('add_months', 'wattledger')(day_date, months)) }}
{%- endmacro %}

{% macro duckdb__add_months(day_date, months) -%}
    cast(cast({{ day_date }} as date) + to_months(cast({{ months }} as integer)) as date)
{%- endmacro %}

{% macro spark__add_months(day_date, months) -%}
    add_months(cast({{ day_date }} as date), cast({{ months }} as int))
{%- endmacro %}

{#- Whole days from one date to another. -#}
{% macro days_between(start_date, end_date) -%}
    {{ return(adapter.dispatch('days_between', 'wattledger')(start_date, end_date)) }}
{%- endmacro %}

{% macro duckdb__days_between(start_date, end_date) -%}
    date_diff('day', {{ start_date }}, {{ end_date }})
{%- endmacro %}

{% macro spark__days_between(start_date, end_date) -%}
    datediff({{ end_date }}, {{ start_date }})
{%- endmacro %}

{#- The wall clock of a time zone at a UTC timestamp. -#}
{% macro wall_clock(timestamp_at, zone) -%}
    {{ return(adapter.dispatch('wall_clock', 'wattledger')(timestamp_at, zone)) }}
{%- endmacro %}

{% macro duckdb__wall_clock(timestamp_at, zone) -%}
    timezone('{{ zone }}', timezone('UTC', {{ timestamp_at }}))
{%- endmacro %}

{% macro spark__wall_clock(timestamp_at, zone) -%}
    from_utc_timestamp({{ timestamp_at }}, '{{ zone }}')
{%- endmacro %}
