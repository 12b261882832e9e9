{#-
    Amounts rounded to cents so that they add up to a total that is given in cents: what a statement prints.

    relation     CTE or model with one row per amount
    parent       columns that name the total; [] for one total over all rows
    amount       USD column to round, nano-dollars, of either sign
    total_cents  integer column, the same on all rows of the parent: the sum of the amounts rounded down or up
    tie          column(s) that order equal remainders and are unique within the parent

    Yields the relation's columns plus `footed_cents`. Each amount is floored to the cent and the cents that are missing
    go to the largest remainders, so that no line is off by a whole cent.
-#}
{% macro foot_to_cents(relation, parent, amount, total_cents, tie) -%}
{%- set partition = ('partition by ' ~ parent | join(', ')) if parent else '' %}
    select
        ranked.*,
        floor_cents + case
            when rank_cents <= {{ total_cents }} - sum(floor_cents) over ({{ partition }}) then 1 else 0
        end as footed_cents
    from (
        select
            floored.*,
            row_number() over (
                {{ partition }} order by {{ nano_usd(amount) }} - floor_cents * 10000000 desc nulls last, {{ tie }}
            ) as rank_cents
        from (
            select
                amounts.*,
                {{ floor_cents(amount) }} as floor_cents
            from {{ relation }} as amounts
        ) as floored
    ) as ranked
{%- endmacro %}

{#- Whole cents of a USD amount, rounded down, below zero too: integer division truncates on one engine and floors on
    another, so the dividend is lifted above zero first. -#}
{% macro floor_cents(amount) -%}
    ({{ integer_div(nano_usd(amount) ~ ' + 10000000000000000000000000', '10000000') }} - 1000000000000000000)
{%- endmacro %}

{#- Whole cents of a USD amount, rounded half away from zero. -#}
{% macro round_cents(amount) -%}
    cast(round({{ amount }} * 100, 0) as {{ wide_integer_type() }})
{%- endmacro %}

{#- Statement USD from whole cents. -#}
{% macro from_cents(cents) -%}
    cast(cast({{ cents }} as decimal(38, 2)) * cast(0.01 as decimal(2, 2)) as decimal(18, 2))
{%- endmacro %}
