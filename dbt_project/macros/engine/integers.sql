{#- The widest exact integer: nano-dollars times a split weight must fit (18 + 18 digits). -#}
{% macro wide_integer_type() -%}
    {{ return(adapter.dispatch('wide_integer_type', 'wattledger')()) }}
{%- endmacro %}

{% macro duckdb__wide_integer_type() -%} hugeint {%- endmacro %}

{% macro spark__wide_integer_type() -%} decimal(38, 0) {%- endmacro %}

{#- Quotient of two non-negative integers, rounded down. Null when the divisor is 0. -#}
{% macro integer_div(dividend, divisor) -%}
    {{ return(adapter.dispatch('integer_div', 'wattledger')(dividend, divisor)) }}
{%- endmacro %}

{% macro duckdb__integer_div(dividend, divisor) -%}
    (({{ dividend }}) // nullif({{ divisor }}, 0))
{%- endmacro %}

{#- Spark's `div` narrows to bigint, which 36 digits overflow. -#}
{% macro spark__integer_div(dividend, divisor) -%}
    cast(floor(
        (cast({{ dividend }} as decimal(38, 0)) - pmod({{ dividend }}, nullif({{ divisor }}, 0)))
        / nullif({{ divisor }}, 0)
    ) as decimal(38, 0))
{%- endmacro %}
