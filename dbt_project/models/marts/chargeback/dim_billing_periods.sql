-- One row per posting period: is it final, and what stands against closing it.
-- open: its days are not all here · provisional: they are, it is not closed · closed: in the books.
with ledger as (
    select
        posting_period_start_date as period_start_date,
        max(usage_date) filter (where billing_period_start_date = posting_period_start_date) as last_usage_date,
        {{ usd_sum('billed_cost_usd') }} as billed_cost_usd,
        {{ usd_sum('effective_cost_usd') }} as effective_cost_usd,
        cast(coalesce(sum(effective_cost_usd) filter (where is_estimate), 0) as decimal(38, 9)) as estimated_cost_usd,
        cast(coalesce(sum(effective_cost_usd) filter (where allocation_step = 'accrual'), 0) as decimal(38, 9))
            as accrued_cost_usd,
        cast(coalesce(sum(effective_cost_usd) filter (where posting_cause is not null), 0) as decimal(38, 9))
            as correction_cost_usd
    from {{ ref('fct_cost_ledger') }}
    group by posting_period_start_date
),

reconciliation as (
    select
        cast(date_trunc('month', billing_period_start_date) as date) as period_start_date,
        max(step = 'held_back') as has_held_back,
        max(step = 'residual' and effective_cost_usd != 0 or step = 'residual' and billed_cost_usd != 0)
            as has_residual
    from {{ ref('fct_reconciliation') }}
    group by 1
),

gateway as (
    select
        month_start_date as period_start_date,
        max(residual_usd > allowed_usd) as has_gateway_residual
    from {{ ref('int_tokens__bill_residuals') }}
    group by month_start_date
),

periods as (
    select period_start_date from ledger
    union
    select period_start_date from {{ ref('int_books__closes') }}
    union
    select period_start_date from reconciliation
),

described as (
    select
        periods.period_start_date,
        {{ next_month('periods.period_start_date') }} as period_end_date,
        through.data_through_date,
        closes.close_id,
        closes.revision,
        closes.closed_at,
        closes.accepted_blockers,
        closes.close_fingerprint,
        ledger.billed_cost_usd,
        ledger.effective_cost_usd,
        ledger.estimated_cost_usd,
        ledger.accrued_cost_usd,
        ledger.correction_cost_usd,
        coalesce(reconciliation.has_held_back, false) as has_held_back,
        coalesce(reconciliation.has_residual, false) as has_residual,
        coalesce(gateway.has_gateway_residual, false) as has_gateway_residual
    from periods
    left join ledger on periods.period_start_date = ledger.period_start_date
    left join reconciliation on periods.period_start_date = reconciliation.period_start_date
    left join gateway on periods.period_start_date = gateway.period_start_date
    left join {{ ref('int_books__closes') }} as closes on periods.period_start_date = closes.period_start_date
    cross join {{ ref('int_books__data_through') }} as through
)

select
    period_start_date,
    period_end_date,
    case
        when close_id is not null then 'closed'
        when data_through_date is null or data_through_date < {{ add_days('period_end_date', -1) }} then 'open'
        else 'provisional'
    end as period_status,
    case when close_id is null then nullif(concat_ws(
        ', ',
        case
            when data_through_date is null or data_through_date < {{ add_days('period_end_date', -1) }}
                then 'running'
        end,
        case when has_held_back then 'held_back' end,
        case when has_residual then 'invoice_residual' end,
        case when has_gateway_residual then 'gateway_residual' end,
        case when accrued_cost_usd != 0 then 'accrued' end
    ), '') end as close_blockers,
    cast(data_through_date as date) as data_through_date,
    close_id,
    cast(revision as bigint) as revision,
    closed_at,
    accepted_blockers,
    close_fingerprint,
    coalesce(billed_cost_usd, 0) as billed_cost_usd,
    coalesce(effective_cost_usd, 0) as effective_cost_usd,
    coalesce(estimated_cost_usd, 0) as estimated_cost_usd,
    coalesce(accrued_cost_usd, 0) as accrued_cost_usd,
    coalesce(correction_cost_usd, 0) as correction_cost_usd
from described
