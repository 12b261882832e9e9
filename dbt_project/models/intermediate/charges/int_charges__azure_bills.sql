-- One row per source, export view, billing account and billing period of Azure's cost exports: which view of the bill
-- it is, and whether it counts.
{{ config(rebuild_touched('billing_period_start_date')) }}

with bills as (
    select
        source_name,
        export_view,
        billing_account_id,
        billing_period_start_date,
        max(billing_profile_id) as billing_profile_id,
        -- What a commitment covers costs something in one view alone, and what it leaves unused stands there alone.
        coalesce(max(
            charge_type in ('unusedreservation', 'unusedsavingsplan')
            or (charge_type = 'usage' and is_commitment and cost_local != 0)
        ), false) as tells_amortized
    from {{ ref('stg_azure_cost__line_items') }}
    where
        billing_period_start_date in (
            select billing_period_start_date from {{ source('build', 'touched_periods') }}
        )
    group by all
),

counted as (
    select
        *,
        case
            when export_view != 'unsaid' then export_view
            when tells_amortized then 'amortized'
            else 'actual'
        end as bill_view,
        exists(
            select 1 from {{ ref('stg_focus__charges') }} as focus
            where
                focus.provider_name in ('Microsoft', 'Microsoft Azure', 'Azure')
                and focus.billing_period_start_date = bills.billing_period_start_date
                and lower({{ last_path_part('focus.billing_account_id') }})
                in (
                    lower({{ last_path_part('bills.billing_account_id') }}),
                    lower({{ last_path_part('bills.billing_profile_id') }})
                )
        ) as is_delivered_as_focus,
        export_view = 'unsaid' and max(export_view != 'unsaid')
            over (partition by billing_account_id, billing_period_start_date) as is_said_elsewhere
    from bills
)

select
    source_name,
    export_view,
    billing_account_id,
    bill_view,
    is_delivered_as_focus,
    not is_delivered_as_focus and not is_said_elsewhere as is_counted,
    max(bill_view = 'actual' and not is_said_elsewhere)
        over (partition by billing_account_id, billing_period_start_date) as has_actual,
    max(bill_view = 'amortized' and not is_said_elsewhere)
        over (partition by billing_account_id, billing_period_start_date) as has_amortized,
    billing_period_start_date
from counted
