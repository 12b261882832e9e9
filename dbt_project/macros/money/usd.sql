{#- Row-level USD: nano-dollars, rounded half away from zero. Null stays null. -#}
{% macro usd(amount) -%}
    cast(round({{ amount }}, 9) as decimal(18, 9))
{%- endmacro %}

{#- A sum of USD rows: the same nano-dollars, wider. -#}
{% macro usd_sum(amount) -%}
    cast(sum({{ amount }}) as decimal(38, 9))
{%- endmacro %}

{#- Amount in another currency times its rate, rounded once to the nano-dollar. Null rate: null. What has eleven digits
    or more before the point is multiplied with nine places: with eighteen it does not fit the product. -#}
{% macro convert_usd(amount, rate) -%}
    case
        when abs({{ amount }}) < 10000000000
            then cast(
                round(cast({{ amount }} as decimal(38, 18)) * cast({{ rate }} as decimal(18, 9)), 9) as decimal(38, 9)
            )
        else cast(
            round(cast(round({{ amount }}, 9) as decimal(38, 9)) * cast({{ rate }} as decimal(18, 9)), 9)
            as decimal(38, 9)
        )
    end
{%- endmacro %}

{#- USD as an exact integer of nano-dollars. -#}
{% macro nano_usd(amount) -%}
    cast(cast({{ amount }} as decimal(38, 9)) * 1000000000 as {{ wide_integer_type() }})
{%- endmacro %}

{#- Back from nano-dollars. -#}
{% macro from_nano(nano) -%}
    cast(cast({{ nano }} as decimal(38, 9)) * cast(0.000000001 as decimal(9, 9)) as decimal(18, 9))
{%- endmacro %}

{#- The part of a USD amount that `part` is of `whole`, both decimals of at most nine places, to the nano-dollar towards
    zero; null where there is no whole. A figure to show beside the amount: what must add up is split by `split_usd`. -#}
{% macro share_of_usd(amount_usd, part, whole) -%}
    {{ from_nano('case when ' ~ amount_usd ~ ' < 0 then -1 else 1 end * ' ~ integer_div(
        'abs(' ~ nano_usd(amount_usd) ~ ') * ' ~ nano_usd(part), nano_usd(whole)
    )) }}
{%- endmacro %}
