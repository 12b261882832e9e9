-- Meter energy is card energy x PUE and its cost that x tariff, each rounded once; what is missing leaves null and a
-- reason.
{{ config(meta={'dagster': {'ref': {'name': 'fct_gpu_energy_hourly'}}}) }}

select *
from {{ ref('fct_gpu_energy_hourly') }}
where
    abs(cast(facility_kwh as decimal(38, 18)) - cast(gpu_kwh as decimal(28, 9)) * pue) > 0.0000000005
    or abs(cast(energy_cost_usd as decimal(38, 18)) - cast(facility_kwh as decimal(28, 9)) * usd_per_kwh) > 0.0000000005
    or (energy_cost_usd is null) != (missing_reason is not null)
    or (gpu_kwh is null) != (energy_source = 'missing')
    or gpu_kwh < 0
