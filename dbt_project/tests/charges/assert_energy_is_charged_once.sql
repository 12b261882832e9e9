-- Energy reaches the ledger one way: no host-day has both an energy charge and a share of a power invoice.
{{ config(meta={'dagster': {'ref': {'name': 'int_charges__energy_lines'}}}) }}
select
    energy_lines.resource_id,
    energy_lines.charge_start_at,
    power_lines.billing_account_id as power_invoice_billing_account_id
from {{ ref('int_charges__energy_lines') }} as energy_lines
inner join {{ ref('int_charges__power_lines') }} as power_lines
    on
        energy_lines.resource_id = power_lines.resource_id
        and energy_lines.charge_start_at < power_lines.charge_end_at
        and energy_lines.charge_end_at > power_lines.charge_start_at
