-- One row per charge line of every provider's bill, of whatever kind, in the currency it was billed in. A new kind of
-- bill joins here.
{{ config(materialized='view') }}

{%- for model in [
    'stg_focus__charges', 'int_charges__aws_lines', 'int_charges__azure_lines', 'int_charges__gcp_lines',
    'int_charges__oci_lines', 'int_charges__invoice_lines'
] %}
{{ 'union all' if not loop.first }}
select
    {{ charge_line_columns() }},
    consumed_quantity,
    consumed_unit
from {{ ref(model) }}
{%- endfor %}
