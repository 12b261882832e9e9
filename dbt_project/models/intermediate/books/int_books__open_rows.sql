-- One row per ledger row of the billing periods being built that is not booked: the current view less what closed
-- periods have booked so far, posted in its own month while that is open, else in the first open period after it.
-- Law 9: booked rows are never touched, and both together are the current view.
with booked as (
    select
        ledger_key,
        {{ costs(usd_sum('$') ~ ' as $') }}
    from {{ ref('int_books__booked') }}
    group by ledger_key
),

last_booked as (
    select *
    from {{ ref('int_books__booked') }}
    qualify row_number() over (partition by ledger_key order by posting_period_start_date desc nulls last) = 1
),

{%- set described = [
    'usage_date', 'billing_period_start_date', 'provider_name', 'billing_account_id', 'invoice_id', 'charge_category',
    'service_name', 'resource_id', 'cost_pool', 'team_id', 'cost_center_id', 'environment', 'workload_id',
    'consumer_id', 'model_id', 'allocation_step', 'allocation_method', 'is_estimate', 'owner_rule_id', 'price_set_id',
    'usd_per_unit', 'policy_id', 'charge_version', 'source_name', 'charge_key'
] %}

differences as (
    select
        coalesce(standing.ledger_key, booked.ledger_key) as ledger_key,
        {% for column in described -%}
        case when standing.ledger_key is null then last_booked.{{ column }} else standing.{{ column }} end
            as {{ column }},
        {% endfor -%}
        {{ costs(
            'case when standing.$ is null and booked.$ is null then null'
            ~ ' else coalesce(standing.$, 0) - coalesce(booked.$, 0) end as $'
        ) }}
    from {{ ref('int_charges__current') }} as standing
    full outer join booked on standing.ledger_key = booked.ledger_key
    left join last_booked on booked.ledger_key = last_booked.ledger_key
    where booked.ledger_key is null or {{ costs('coalesce(standing.$, 0) != coalesce(booked.$, 0)', joint='or') }}
),

posted as (
    select
        differences.*,
        cast(date_trunc('month', differences.billing_period_start_date) as date) as charge_month_start_date
    from differences
)

select
    posted.*,
    coalesce(posting_periods.posting_period_start_date, posted.charge_month_start_date) as posting_period_start_date,
    case when posting_periods.period_start_date is not null then causes.posting_cause end as posting_cause
from posted
left join {{ ref('int_books__posting_periods') }} as posting_periods
    on posted.charge_month_start_date = posting_periods.period_start_date
left join {{ ref('int_books__causes') }} as causes
    on
        posted.charge_key = causes.charge_key
        and posted.usage_date = causes.usage_date
