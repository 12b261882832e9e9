{#- Select-list expression: one row per clock hour that [start_at, end_at) touches. -#}
{% macro explode_hours(start_at, end_at) -%}
    {{ return(adapter.dispatch('explode_hours', 'wattledger')(start_at, end_at)) }}
{%- endmacro %}

{% macro duckdb__explode_hours(start_at, end_at) -%}
    unnest(range(date_trunc('hour', {{ start_at }}), {{ end_at }}, interval 1 hour))
{%- endmacro %}

{% macro spark__explode_hours(start_at, end_at) -%}
    explode(sequence(date_trunc('hour', {{ start_at }}), {{ end_at }} - interval 1 microsecond, interval 1 hour))
{%- endmacro %}

{#- Select-list expression: one row per date of [start_date, end_date). -#}
{% macro explode_days(start_date, end_date) -%}
    {{ return(adapter.dispatch('explode_days', 'wattledger')(start_date, end_date)) }}
{%- endmacro %}

{% macro duckdb__explode_days(start_date, end_date) -%}
    cast(unnest(range(cast({{ start_date }} as timestamp), cast({{ end_date }} as timestamp), interval 1 day)) as date)
{%- endmacro %}

{% macro spark__explode_days(start_date, end_date) -%}
    explode(sequence(cast({{ start_date }} as date), date_sub(cast({{ end_date }} as date), 1), interval 1 day))
{%- endmacro %}

{#- Select-list expression: one row per first day of a month that [start_date, end_date) touches. -#}
{% macro explode_months(start_date, end_date) -%}
    {{ return(adapter.dispatch('explode_months', 'wattledger')(start_date, end_date)) }}
{%- endmacro %}

{% macro duckdb__explode_months(start_date, end_date) -%}
    cast(unnest(
        range(date_trunc('month', cast({{ start_date }} as timestamp)), cast({{ end_date }} as timestamp), interval 1 month)
    ) as date)
{%- endmacro %}

{% macro spark__explode_months(start_date, end_date) -%}
    explode(sequence(
        cast(date_trunc('month', {{ start_date }}) as date), date_sub(cast({{ end_date }} as date), 1), interval 1 month
    ))
{%- endmacro %}
