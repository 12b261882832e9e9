-- One row per day and GPU host: the facility whose pattern fits its name best, with the PUE and tariff of that day.
{{ config(rebuild_touched('usage_date')) }}

with hosts as (
    select distinct
        usage_date,
        hostname
    from {{ ref('int_gpu__devices') }}
    where usage_date in (select usage_date from {{ source('build', 'touched_days') }})
),

sited as (
    select
        hosts.usage_date,
        hosts.hostname,
        facilities.facility_id,
        facilities.pue,
        facilities.power_source,
        facilities.power_invoice_account_id
    from hosts
    inner join {{ ref('stg_config__facilities') }} as facilities
        on
            hosts.hostname like facilities.hostname_pattern
            and {{ is_valid_on('facilities', 'hosts.usage_date') }}
    -- The longest pattern is the most specific.
    qualify row_number() over (
        partition by hosts.usage_date, hosts.hostname
        order by
            length(facilities.hostname_pattern) desc nulls last,
            facilities.facility_id,
            facilities.valid_from_date desc
    ) = 1
)

select
    sited.usage_date,
    sited.hostname,
    sited.facility_id,
    sited.pue,
    sited.power_source,
    sited.power_invoice_account_id,
    tariffs.usd_per_kwh
from sited
left join {{ ref('stg_config__tariffs') }} as tariffs
    on
        sited.facility_id = tariffs.facility_id
        and {{ is_valid_on('tariffs', 'sited.usage_date') }}
qualify row_number() over (
    partition by sited.usage_date, sited.hostname
    order by tariffs.valid_from_date desc nulls last
) = 1
