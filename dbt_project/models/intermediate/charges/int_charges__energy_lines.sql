-- One row per host with measured power, and day: its energy as a charge line.
-- kWh x PUE x tariff; the hours of a facility whose power an invoice or the provider's price holds are none of it, nor
-- are hours without a reading or a tariff: those are told as `not_charged` in reconciliation.
{{ config(rebuild_touched('billing_period_start_date')) }}

with host_days as (
    select
        usage_date,
        cast(date_trunc('month', usage_date) as date) as month_start_date,
        facility_id,
        hostname,
        {{ usd_sum('energy_cost_usd') }} as energy_cost_usd
    from {{ ref('int_gpu__energy_costs') }}
    where power_source = 'measured' and energy_cost_usd is not null
    group by usage_date, facility_id, hostname
)

select
    {{ own_charge_line('host_days.energy_cost_usd', {
        'source_name': "'gpu_energy'",
        'object_uri': "'fct_gpu_energy_hourly'",
        'object_position': 'cast(null as bigint)',
        'billing_account_id': 'host_days.facility_id',
        'resource_id': 'coalesce(hosts.resource_id, host_days.hostname)',
        'charge_frequency': "'Usage-Based'",
        'service_name': "'Energy'",
        'billing_period_start_date': 'host_days.month_start_date',
        'charge_start_at': 'cast(host_days.usage_date as timestamp)',
        'charge_end_at': 'cast(' ~ add_days('host_days.usage_date', 1) ~ ' as timestamp)',
    }) }}
from host_days
left join {{ ref('int_charges__hosts') }} as hosts
    on
        host_days.usage_date = hosts.usage_date
        and host_days.hostname = hosts.hostname
where host_days.month_start_date in (
    select billing_period_start_date from {{ source('build', 'touched_periods') }}
)
