-- One row per row of a Google Cloud bill that commitment fees of its day paid for, and per pool of such fees: the part
-- of the fees. What nothing used, by quantity for resources and where nothing at all was covered for spend, stays with
-- the pool's first fee row, with what is left below a nano-dollar.
{{ config(rebuild_touched('billing_period_start_date')) }}

{%- set pool = 'source_name, billing_account_id, billing_period_start_date, currency_code, usage_date, pool_id' %}

with ranked as (
    select
        *,
        row_number() over (
            partition by {{ pool }}, is_fee order by object_uri, object_position nulls last
        ) as pool_rank,
        sum(case when is_fee then gross_cost_local + discount_local end) over (partition by {{ pool }})
            as pool_fee_local,
        sum(case when is_fee then greatest(pool_weight, 0) else 0 end) over (partition by {{ pool }})
            as committed_weight,
        sum(case when not is_fee then pool_weight else 0 end) over (partition by {{ pool }}) as covered_weight
    from {{ ref('int_charges__gcp_items') }}
    where
        pool_id is not null
        and billing_period_start_date in (
            select billing_period_start_date from {{ source('build', 'touched_periods') }}
        )
),

shares as (
    select
        *,
        cast(pool_fee_local as decimal(38, 9)) as fee_local,
        case
            when not is_fee then pool_weight
            when covered_weight = 0 then 1
            when pool_id like 'resource%' then greatest(committed_weight - covered_weight, 0)
            else 0
        end as share_weight
    from ranked
    where pool_fee_local is not null and (not is_fee or pool_rank = 1)
),

split as (
    {{ split_usd(
        'shares',
        parent=pool.split(', '),
        weight='share_weight',
        tie='object_uri, object_position, is_fee',
        amounts=['fee_local'],
    ) }}
)

select
    source_name,
    object_uri,
    object_position,
    is_fee,
    cast(
        split_fee_local + case when is_fee then pool_fee_local - fee_local else 0 end as decimal(38, 18)
    ) as fee_share_local,
    is_fee and split_fee_local != 0 as is_unused,
    billing_period_start_date
from split
