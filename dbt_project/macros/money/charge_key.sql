{#-
    Key of a charge group: the lines of one source, account and billing period that agree in every dimension money is
    allocated by. Lines and ledger rows meet at it.
-#}
{% macro charge_key() -%}
    md5(concat_ws('|',
        {%- for column in [
            'source_name', 'provider_name', 'billing_account_id', 'sub_account_id', 'billing_period_start_date',
            'currency_code', 'charge_category', 'charge_class', 'charge_frequency', 'pricing_category', 'service_name',
            'resource_id', 'sku_id', 'invoice_id', 'commitment_discount_id', 'commitment_discount_status', 'tags',
            'sku_price_details'
        ] %}
        coalesce(replace(cast({{ column }} as string), '|', '||'), '~'),
        {%- endfor %}
        case when list_cost_local is null then 'unlisted' else 'listed' end
    ))
{%- endmacro %}

{#- The last part of a cloud resource path, lower-cased: what an ARN, an Azure id and a providerID have in common. -#}
{% macro node_key(resource_id) -%}
    lower(regexp_extract({{ resource_id }}, '([^/:]+)$', 1))
{%- endmacro %}
