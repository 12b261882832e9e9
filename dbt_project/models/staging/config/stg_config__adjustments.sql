-- One row per line of a manual adjustment; the lines of one adjustment add up to 0.
with source as (
    select * from {{ source('raw', 'config_adjustments') }}
),

renamed as (
    select
        adjustment_id,
        adjustment_kind,
        usage_date,
        team_id,
        cost_center_id,
        amount_usd as adjusted_cost_usd,
        reason as adjustment_reason,
        approver,
        reference_charge
    from source
)

select * from renamed
