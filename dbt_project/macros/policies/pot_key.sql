{#- Key of a pot of charges: its kind, its billing period, and what names it within. Hashed one by one, so that no text
    runs into the next. -#}
{% macro pot_key(kind, columns, prefix='') -%}
    concat_ws('|', '{{ kind }}', cast({{ prefix }}billing_period_start_date as string)
        {%- for column in columns %}, md5({{ prefix }}{{ column }}){% endfor %})
{%- endmacro %}

{#- Key of a thing that charges name, whatever their billing period: a resource, a commitment, its purchase, a SKU of a
    sub account; always of one provider and billing account. -#}
{% macro thing_key(kind) -%}
    {%- set columns = {
        'purchase': ['commitment_discount_id'],
        'resource': ['resource_id'],
        'commitment': ['commitment_discount_id'],
        'sku': ['sub_account_id', 'sku_id'],
    } -%}
    concat_ws('|', '{{ kind }}'
        {%- for column in ['provider_name', 'billing_account_id'] + columns[kind] %}, md5({{ column }}){% endfor %})
{%- endmacro %}
