{#- The columns of a price within a set of token prices, as a select list. -#}
{% macro price_columns() -%}
    price_set_id,
    price_id,
    gateway_provider,
    gateway_model,
    token_class,
    tier_start_tokens,
    usd_per_mtok,
    valid_from_date,
    price_source
{%- endmacro %}
