-- One row per owned machine and calendar month of its useful life: its depreciation in a straight line.
-- A whole month is (cost - residual) / months, the first part month by its days; the last one takes the rest, so that
-- a life adds up to cost - residual whatever the lengths of its months.
with assets as (
    select
        asset_id,
        in_service_date,
        useful_life_month_count,
        {{ add_months('in_service_date', 'useful_life_month_count') }} as life_end_date,
        purchase_cost_usd - residual_usd as depreciable_cost_usd
    from {{ ref('stg_config__owned_hardware') }}
    group by all
),

months as (
    select
        *,
        {{ explode_months('in_service_date', 'life_end_date') }} as month_start_date
    from assets
),

spans as (
    select
        *,
        greatest(in_service_date, month_start_date) as span_start_date,
        least(life_end_date, {{ next_month('month_start_date') }}) as span_end_date
    from months
),

weighted as (
    select
        *,
        -- A month weighs 377,580, which months of 28, 29, 30 and 31 days divide.
        {{ integer_div(
            days_between('span_start_date', 'span_end_date') ~ ' * 377580',
            days_between('month_start_date', next_month('month_start_date'))
        ) }} as day_weight
    from spans
),

ended as (
    select
        *,
        case
            when span_end_date < life_end_date then day_weight
            else
                useful_life_month_count * 377580
                - sum(case when span_end_date < life_end_date then day_weight else 0 end) over (partition by asset_id)
        end as month_weight
    from weighted
),

split as (
    {{ split_usd(
        'ended', parent=['asset_id'], weight='month_weight', tie='month_start_date', amounts=['depreciable_cost_usd']
    ) }}
)

select
    asset_id,
    month_start_date,
    span_start_date,
    span_end_date,
    split_depreciable_cost_usd as depreciation_usd
from split
