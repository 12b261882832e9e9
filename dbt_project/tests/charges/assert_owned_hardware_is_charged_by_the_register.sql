-- What an owned machine is charged in a month is what its register says, by plain arithmetic: (cost - residual) / life
-- and the monthly costs, x the days that it serves / the days of the month; to the nano-dollar per line. The month in
-- which a life ends takes what the life has left, so it is compared with nothing but that: see the sum of the life.
{{ config(meta={'dagster': {'ref': {'name': 'int_charges__owned_lines'}}}) }}
with lines as (
    select
        lines.*,
        register.purchase_cost_usd,
        register.residual_usd,
        register.useful_life_month_count,
        {{ add_months('register.in_service_date', 'register.useful_life_month_count') }} as life_end_date,
        {{ days_between('cast(lines.charge_start_at as date)', 'cast(lines.charge_end_at as date)') }} as day_count,
        {{ days_between('lines.billing_period_start_date', next_month('lines.billing_period_start_date')) }}
            as month_day_count,
        case lines.service_name
            when 'Space' then register.space_usd_per_month
            when 'Staff' then register.staff_usd_per_month
            when 'Maintenance' then register.maintenance_usd_per_month
        end as usd_per_month
    from {{ ref('int_charges__owned_lines') }} as lines
    inner join {{ ref('stg_config__owned_hardware') }} as register
        on
            lines.sku_id = register.asset_id
            and lines.object_position = register.object_position
),

expected as (
    select
        *,
        case
            when service_name = 'Depreciation'
                then
                    cast(purchase_cost_usd - residual_usd as double) / useful_life_month_count
                    * day_count / month_day_count
            else cast(usd_per_month as double) * day_count / month_day_count
        end as expected_cost
    from lines
    where service_name != 'Depreciation' or {{ next_month('billing_period_start_date') }} < life_end_date
)

select
    sku_id,
    service_name,
    billing_period_start_date,
    billed_cost_local,
    expected_cost
from expected
where abs(cast(billed_cost_local as double) - expected_cost) > 0.000000002 + abs(expected_cost) * 1e-12
