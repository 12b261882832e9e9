{#-
    Nano-dollars of tokens at rates per 1,000,000, rounded once, half away from zero. `classes` are pairs of a token
    count and a rate in nano-USD per 1,000,000 tokens. A class without tokens costs 0 whatever its rate; tokens
    without a rate make the whole null. tokens x nano-USD per 1e6 tokens / 1e6 = nano-USD.
-#}
{% macro token_cost_nano(classes) -%}
    cast({{ integer_div(
        nano_of_micro_tokens(classes) ~ ' + 500000', '1000000'
    ) }} as bigint)
{%- endmacro %}

{% macro nano_of_micro_tokens(classes) -%}
    {%- for tokens, rate in classes %}
        case when {{ tokens }} = 0 then 0 else cast({{ tokens }} as {{ wide_integer_type() }}) * {{ rate }} end
        {{- ' +' if not loop.last }}
    {%- endfor %}
{%- endmacro %}

{#- USD per unit from an amount and a count, to the nano-dollar, half up; null where there is nothing to divide by. -#}
{% macro usd_per_unit(amount_usd, unit_count, units=1) -%}
    {{ from_nano(integer_div(
        nano_usd(amount_usd) ~ ' * ' ~ units ~ ' + ' ~ integer_div('cast(' ~ unit_count ~ ' as ' ~ wide_integer_type() ~ ')', '2'),
        'cast(' ~ unit_count ~ ' as ' ~ wide_integer_type() ~ ')'
    )) }}
{%- endmacro %}
