-- One row per UTC hour and physical GPU: its energy at the card, at the meter (x PUE) and at the tariff of the day.
-- Whether it is a charge, the key of a power invoice or a memo says `power_source` of its facility.
{{ config(rebuild_touched('usage_date', with_neighbours=true)) }}

with chosen as (
    select
        *,
        -- A powered card always draws: a counter that stands still while power is read is frozen.
        case
            when counter_millijoules > 0 or (counter_millijoules = 0 and coalesce(power_millijoules, 0) = 0)
                then 'counter'
            when power_millijoules is not null then 'power_integral'
            else 'missing'
        end as energy_source
    from {{ ref('int_gpu__energy_hours') }}
    where usage_date in ({{ days_around_touched() }})
),

-- 1 kWh = 3.6e9 mJ, so a nano-kWh is 3.6 mJ; rounded half up.
measured as (
    select
        *,
        {{ from_nano(integer_div(
            "case energy_source when 'counter' then counter_millijoules when 'power_integral' then power_millijoules end"
            ~ ' * 10 + 18',
            '36'
        )) }} as gpu_kwh
    from chosen
),

sited as (
    select
        measured.*,
        coalesce(devices.hostname, 'unknown') as hostname,
        coalesce(devices.gpu_model, 'unknown') as gpu_model,
        facilities.facility_id,
        facilities.power_source,
        facilities.power_invoice_account_id,
        cast(facilities.pue as decimal(18, 9)) as pue,
        cast(facilities.usd_per_kwh as decimal(18, 9)) as usd_per_kwh,
        cast({{ convert_usd('measured.gpu_kwh', 'facilities.pue') }} as decimal(18, 9)) as facility_kwh
    from measured
    left join {{ ref('int_gpu__devices') }} as devices
        on
            measured.usage_date = devices.usage_date
            and measured.gpu_uuid = devices.gpu_uuid
    left join {{ ref('int_gpu__facilities') }} as facilities
        on
            measured.usage_date = facilities.usage_date
            and devices.hostname = facilities.hostname
)

select
    usage_hour_at,
    usage_date,
    gpu_uuid,
    hostname,
    gpu_model,
    facility_id,
    power_source,
    power_invoice_account_id,
    gpu_kwh,
    pue,
    facility_kwh,
    usd_per_kwh,
    cast({{ convert_usd('facility_kwh', 'usd_per_kwh') }} as decimal(18, 9)) as energy_cost_usd,
    energy_source,
    cast(counter_reset_count as bigint) as counter_reset_count,
    case
        when gpu_kwh is null then 'no_energy_reading'
        when facility_id is null then 'no_facility'
        when pue is null then 'no_pue'
        when usd_per_kwh is null then 'no_tariff'
    end as missing_reason
from sited
