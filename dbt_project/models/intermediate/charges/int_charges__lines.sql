-- One row per charge line of every source of charges, in the currency it was billed in: the providers' lines, those of
-- a power invoice by host, what owned machines cost and the energy that is measured.
{{ config(materialized='view') }}

select {{ charge_line_columns() }}
from {{ ref('int_charges__provider_lines') }} as charges
where
    not exists (
        select 1 from {{ ref('int_charges__power_lines') }} as power_lines
        where
            charges.source_name = power_lines.source_name
            and charges.object_uri = power_lines.object_uri
            and charges.object_position = power_lines.object_position
    )
{%- for model in ['int_charges__power_lines', 'int_charges__owned_lines', 'int_charges__energy_lines'] %}
union all
select {{ charge_line_columns() }}
from {{ ref(model) }}
{%- endfor %}
