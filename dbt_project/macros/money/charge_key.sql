{#-
    Key of a charge group: the lines of one source, account and billing period that agree in every dimension money is
    allocated by. Lines and ledger rows meet at it. Each value stands with its length, so that no text, whatever it
    holds, makes two groups one; `~` is null.
-#}
{% macro charge_key() -%}
    md5(concat_ws('|',
        {%- for column in [
            'source_name', 'provider_name', 'billing_account_id', 'sub_account_id', 'billing_period_start_date',
            'currency_code', 'charge_category', 'charge_class', 'charge_frequency', 'pricing_category', 'service_name',
            'service_category', 'service_subcategory', 'resource_id', 'sku_id', 'invoice_id', 'commitment_discount_id',
            'commitment_discount_status', 'tags', 'sku_price_details'
        ] %}
        case
            when {{ column }} is null then '~'
            else concat(cast(length(cast({{ column }} as string)) as string), ':', cast({{ column }} as string))
        end,
        {%- endfor %}
        case when list_cost_local is null then 'unlisted' else 'listed' end,
        case when contracted_cost_local is null then 'uncontracted' else 'contracted' end
    ))
{%- endmacro %}

{#- The last part of a cloud resource path, lower-cased: what an ARN, an Azure id and a providerID have in common.
    A machine of an Azure scale set is but a number there, and is named `<scale set>_<number>`, as Azure does. Null where
    the path ends in a separator: an empty name is nobody's. -#}
{% macro node_key(resource_id) -%}
    nullif(concat(
        case
            when {{ resource_id }} like '%/virtual%' then coalesce(nullif(concat(
                regexp_extract(lower({{ resource_id }}), '/virtualmachinescalesets/([^/]+)/virtualmachines/[^/]+$', 1), '_'
            ), '_'), '')
            else ''
        end,
        lower(regexp_extract({{ resource_id }}, '([^/:]+)$', 1))
    ), '')
{%- endmacro %}
