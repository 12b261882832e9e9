{#- The columns of a charge line, of whatever source, as a select list; money in `currency_code`. -#}
{% macro charge_line_columns() -%}
    source_name, object_uri, object_position, provider_name, billing_account_id, sub_account_id, invoice_id,
    resource_id, commitment_discount_id, sku_id, currency_code, charge_category, charge_class, charge_description,
    charge_frequency, pricing_category, service_name, service_category, service_subcategory, resource_name,
    commitment_discount_status, tags, sku_price_details, billed_cost_local, effective_cost_local, list_cost_local,
    contracted_cost_local, billing_period_start_date, charge_start_at, charge_end_at
{%- endmacro %}

{#-
    Select list of a charge line that no provider bills: what the company's own machines cost. Billed and effective are
    the amount; nobody states a list or contracted cost. `values` gives a SQL expression by column; the rest is null.
-#}
{% macro own_charge_line(amount_usd, values) -%}
    {%- set values = dict({
        'provider_name': "'owned'",
        'currency_code': "'USD'",
        'charge_category': "'Usage'",
        'service_category': "'Compute'",
        'billed_cost_local': 'cast(' ~ amount_usd ~ ' as decimal(38, 18))',
        'effective_cost_local': 'cast(' ~ amount_usd ~ ' as decimal(38, 18))',
        'list_cost_local': 'cast(null as decimal(38, 18))',
        'contracted_cost_local': 'cast(null as decimal(38, 18))',
    }, **values) -%}
    {%- for column in charge_line_columns().replace('\n', ' ').split(',') | map('trim') %}
    {{ values.get(column, 'cast(null as string)') }} as {{ column }}{{ ',' if not loop.last }}
    {%- endfor %}
{%- endmacro %}
