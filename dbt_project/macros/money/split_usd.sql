{#-
    Largest-remainder split of USD amounts at the nano-dollar; the one place where a dollar is divided.

    relation   CTE or model with one row per share: the parent's amounts are repeated on every row of the parent
    parent     columns that name the parent; its amounts are the same on all of its rows
    weight     non-negative integer column
    tie        column(s) that order equal remainders and are unique within the parent
    amounts    USD columns to split, each by the same weights; the four cost bases unless said

    Yields the relation's columns plus `split_<amount>` for each amount, and `is_even_split`: true where all weights
    of the parent are 0 and the amount was split evenly. For every parent the splits sum to the amount exactly,
    whatever its sign; a null amount gives nulls. |T| x w / W is floored and the missing nano-dollars go to the
    largest remainders (Hamilton), so no share is off by a whole nano-dollar.
-#}
{% macro split_usd(relation, parent, weight, tie, amounts=none) -%}
{%- set amounts = amounts or costs(joint=' ').split() -%}
{%- set parent_key = parent | join(', ') -%}
{%- set wide = wide_integer_type() %}
    select
        floored.*,
        {% for amount in amounts -%}
        {{ from_nano(
            'sign_' ~ amount ~ ' * (floor_' ~ amount ~ ' + case when rank_' ~ amount
            ~ ' <= total_' ~ amount ~ ' - sum(floor_' ~ amount ~ ') over (partition by ' ~ parent_key ~ ')'
            ~ ' then 1 else 0 end)'
        ) }} as split_{{ amount }}{{ ',' if not loop.last }}
        {% endfor %}
    from (
        select
            remainders.*,
            {% for amount in amounts -%}
            row_number() over (
                partition by {{ parent_key }}
                order by remainder_{{ amount }} desc nulls last, {{ tie }}
            ) as rank_{{ amount }}{{ ',' if not loop.last }}
            {% endfor %}
        from (
            select
                products.*,
                {% for amount in amounts -%}
                product_{{ amount }} - floor_{{ amount }} * total_split_weight as remainder_{{ amount }}{{ ',' if not loop.last }}
                {% endfor %}
            from (
                select
                    magnitudes.*,
                    {% for amount in amounts -%}
                    total_{{ amount }} * split_weight as product_{{ amount }},
                    {{ integer_div('total_' ~ amount ~ ' * split_weight', 'total_split_weight') }} as floor_{{ amount }}{{ ',' if not loop.last }}
                    {% endfor %}
                from (
                    select
                        weighted.*,
                        weighted.parent_weight = 0 as is_even_split,
                        case when weighted.parent_weight = 0 then 1 else weighted.own_weight end as split_weight,
                        case when weighted.parent_weight = 0 then weighted.share_count else weighted.parent_weight end
                            as total_split_weight,
                        {% for amount in amounts -%}
                        abs({{ nano_usd(amount) }}) as total_{{ amount }},
                        case when {{ amount }} < 0 then -1 else 1 end as sign_{{ amount }}{{ ',' if not loop.last }}
                        {% endfor %}
                    from (
                        select
                            shares.*,
                            cast({{ weight }} as {{ wide }}) as own_weight,
                            cast(sum({{ weight }}) over (partition by {{ parent_key }}) as {{ wide }}) as parent_weight,
                            cast(count(*) over (partition by {{ parent_key }}) as {{ wide }}) as share_count
                        from {{ relation }} as shares
                    ) as weighted
                ) as magnitudes
            ) as products
        ) as remainders
    ) as floored
{%- endmacro %}
