-- One row per owned machine, calendar month that the company has data of, kind of cost and row of the register: a
-- charge line.
-- A part month costs its days' part of the month: an asset that is retired, or whose monthly costs change, is charged
-- to that day.
{{ config(rebuild_touched('billing_period_start_date')) }}

with known_months as (
    select
        month_start_date,
        {{ next_month('month_start_date') }} as month_end_date
    from {{ source('build', 'known_months') }}
    where month_start_date in (select billing_period_start_date from {{ source('build', 'touched_periods') }})
),

register as (
    select
        *,
        greatest(valid_from_date, in_service_date) as row_start_date
    from {{ ref('stg_config__owned_hardware') }}
    where valid_to_date > in_service_date
),

monthly as (
    select
        depreciation.asset_id,
        cast(null as date) as row_start_date,
        depreciation.month_start_date,
        'Depreciation' as service_name,
        depreciation.depreciation_usd as month_cost_usd,
        depreciation.span_start_date,
        depreciation.span_end_date
    from {{ ref('int_charges__depreciation') }} as depreciation
    inner join known_months on depreciation.month_start_date = known_months.month_start_date
    {%- for kind in ['space', 'staff', 'maintenance'] %}
    union all
    select
        register.asset_id,
        register.row_start_date,
        known_months.month_start_date,
        '{{ kind | capitalize }}',
        register.{{ kind }}_usd_per_month,
        known_months.month_start_date,
        known_months.month_end_date
    from register
    inner join known_months
        on
            register.row_start_date < known_months.month_end_date
            and register.valid_to_date > known_months.month_start_date
    {%- endfor %}
),

-- Depreciation is the asset's, and each row of the register has its days of it; the other costs are the row's own.
served as (
    select
        monthly.*,
        register.row_start_date as served_row_start_date,
        greatest(monthly.span_start_date, register.row_start_date) as served_start_date,
        least(monthly.span_end_date, register.valid_to_date) as served_end_date
    from monthly
    inner join register
        on
            monthly.asset_id = register.asset_id
            and coalesce(monthly.row_start_date, register.row_start_date) = register.row_start_date
            and monthly.span_start_date < register.valid_to_date
            and monthly.span_end_date > register.row_start_date
),

shares as (
    select
        *,
        {{ days_between('served_start_date', 'served_end_date') }} as day_count
    from served
    union all
    -- Days of the month on which the asset serves no more, or not yet: nobody is charged for them.
    select
        asset_id,
        row_start_date,
        month_start_date,
        service_name,
        month_cost_usd,
        span_start_date,
        span_end_date,
        null,
        cast('9999-12-31' as date),
        null,
        {{ days_between('span_start_date', 'span_end_date') }}
        - sum({{ days_between('served_start_date', 'served_end_date') }})
    from served
    group by asset_id, row_start_date, month_start_date, service_name, month_cost_usd, span_start_date, span_end_date
),

split as (
    {{ split_usd(
        'shares',
        parent=['asset_id', 'service_name', 'month_start_date', 'row_start_date'],
        weight='day_count',
        tie='served_start_date',
        amounts=['month_cost_usd']
    ) }}
)

select
    {{ own_charge_line('split.split_month_cost_usd', {
        'source_name': "'owned_hardware'",
        'object_uri': 'register.object_uri',
        'object_position': 'register.object_position',
        'billing_account_id': 'register.facility_id',
        'resource_id': 'register.resource_id',
        'sku_id': 'register.asset_id',
        'charge_frequency': "'Recurring'",
        'service_name': 'split.service_name',
        'billing_period_start_date': 'split.month_start_date',
        'charge_start_at': 'cast(split.served_start_date as timestamp)',
        'charge_end_at': 'cast(split.served_end_date as timestamp)',
    }) }}
from split
inner join register
    on
        split.asset_id = register.asset_id
        and split.served_row_start_date = register.row_start_date
where split.split_month_cost_usd != 0
