-- One row per UTC hour and physical GPU: its energy at the card, at the meter (x PUE) and at the tariff of the day.
-- What the ledger charges of it says `power_source`: all (measured), its share of the power invoice, or nothing.
{{ config(rebuild_touched('usage_date', with_neighbours=true)) }}

select
    usage_hour_at,
    usage_date,
    gpu_uuid,
    hostname,
    gpu_model,
    facility_id,
    power_source,
    gpu_kwh,
    pue,
    facility_kwh,
    usd_per_kwh,
    energy_cost_usd,
    energy_source,
    counter_reset_count,
    missing_reason
from {{ ref('int_gpu__energy_costs') }}
where usage_date in ({{ days_around_touched() }})
