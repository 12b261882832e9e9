{#- Key of what a ledger row says, whatever period it is posted in: two rows of one key are one dollar's two bookings. -#}
{% macro ledger_key() -%}
    md5(concat_ws(
        '|',
        {{ ledger_grain("coalesce(cast($ as string), '~')") }}
    ))
{%- endmacro %}
