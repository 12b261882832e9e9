-- One row per warehouse: the last day that charges of at most a day, cluster allocations or gateway requests speak for.
{{ config(materialized='view') }}

with days as (
    select max(cast(charge_start_at as date)) as last_date
    from {{ ref('int_charges__lines') }}
    where
        {{ milliseconds_between('charge_start_at', 'charge_end_at') }} <= 86400000
        -- A register says what a month costs before the month is over.
        and source_name != 'owned_hardware'
    union all
    select max(usage_date) from {{ ref('stg_opencost__allocations') }}
    union all
    select max(usage_date) from {{ ref('stg_litellm__requests') }}
)

select max(last_date) as data_through_date from days
