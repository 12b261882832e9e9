-- One row per admitted charge group, interval and day it is recognised on: a charge longer than a day is spread over
-- its days by milliseconds, cut at midnight UTC, so that days add up to the charge. All else, and what is charged once,
-- stands whole on the day it starts.
with admitted as (
    select
        *,
        charge_start_at as whole_start_at,
        charge_end_at as whole_end_at,
        coalesce(charge_frequency, '') != 'One-Time'
        and {{ milliseconds_between('charge_start_at', 'charge_end_at') }} > 86400000 as is_spread
    from {{ ref('int_charges__groups') }}
    where is_admitted
),

exploded as (
    select
        *,
        {{ explode_days(
            'cast(whole_start_at as date)',
            'case when whole_end_at = cast(cast(whole_end_at as date) as timestamp) then cast(whole_end_at as date)'
            ~ ' else ' ~ add_days('whole_end_at', 1) ~ ' end'
        ) }} as day_date
    from admitted
    where is_spread
),

cut as (
    select
        *,
        greatest(whole_start_at, cast(day_date as timestamp)) as day_start_at,
        least(whole_end_at, cast({{ add_days('day_date', 1) }} as timestamp)) as day_end_at
    from exploded
),

weighted as (
    select
        *,
        {{ milliseconds_between('day_start_at', 'day_end_at') }} as day_milliseconds
    from cut
),

spread as (
    {{ split_usd(
        'weighted',
        parent=['charge_key', 'whole_start_at', 'whole_end_at'],
        weight='day_milliseconds',
        tie='day_date'
    ) }}
)

{%- set dimensions = [
    'charge_key', 'source_name', 'provider_name', 'billing_account_id', 'sub_account_id', 'billing_period_start_date',
    'currency_code', 'usd_per_unit', 'charge_version', 'invoice_id', 'charge_category', 'charge_class', 'service_name', 'service_category', 'service_subcategory', 'resource_id', 'node_key', 'sku_id',
    'commitment_discount_id', 'commitment_discount_status', 'tags', 'billed_model_id'
] %}

select
    {{ dimensions | join(',\n    ') }},
    charge_start_at,
    charge_end_at,
    usage_date,
    {{ costs() }}
from admitted
where not is_spread
union all
select
    {{ dimensions | join(',\n    ') }},
    day_start_at,
    day_end_at,
    day_date,
    {{ costs('split_$') }}
from spread
