-- One row per provider and month that its usage or cost report tells of: the tokens it says were used, at our prices;
-- what it says was charged; what it billed for use.
with usage_months as (
    select
        provider_name,
        cast(date_trunc('month', usage_date) as date) as month_start_date,
        cast(sum(unpriced_tokens) as bigint) as unpriced_tokens,
        {{ usd_sum('priced_cost_usd') }} as priced_cost_usd,
        {{ usd_sum('other_tier_cost_usd') }} as other_tier_cost_usd
    from {{ ref('int_tokens__provider_usage') }}
    group by all
),

cost_months as (
    select
        provider_name,
        cast(date_trunc('month', usage_date) as date) as month_start_date,
        min(usage_date) as first_reported_date,
        max(usage_date) as last_reported_date,
        case when count(*) = count(token_cost_usd) then {{ usd_sum('token_cost_usd') }} end as token_cost_usd,
        case when count(*) = count(other_cost_usd) then {{ usd_sum('other_cost_usd') }} end as other_cost_usd
    from {{ ref('int_tokens__provider_costs') }}
    group by all
),

bills as (
    select
        provider_name,
        cast(date_trunc('month', billing_period_start_date) as date) as month_start_date,
        case when count(distinct billing_account_id) = 1 then max(billing_account_id) else 'all accounts' end
            as billing_account_id,
        min(usage_date) as first_billed_date,
        max(usage_date) as last_billed_date,
        -- A provider's report knows no taxes and no credits.
        coalesce({{ usd_sum("case when bill_kind not in ('credit', 'tax') then billed_cost_usd end") }}, 0)
            as billed_cost_usd
    from {{ ref('int_tokens__model_bills') }}
    group by provider_name, cast(date_trunc('month', billing_period_start_date) as date)
)

select
    coalesce(usage_months.provider_name, cost_months.provider_name) as provider_name,
    coalesce(usage_months.month_start_date, cost_months.month_start_date) as month_start_date,
    coalesce(bills.billing_account_id, 'all accounts') as billing_account_id,
    usage_months.priced_cost_usd,
    coalesce(usage_months.other_tier_cost_usd, 0) as other_tier_cost_usd,
    coalesce(usage_months.unpriced_tokens, 0) > 0 as has_unpriced_tokens,
    cost_months.token_cost_usd,
    cost_months.other_cost_usd,
    bills.billed_cost_usd,
    coalesce(
        cost_months.first_reported_date <= bills.first_billed_date
        and cost_months.last_reported_date >= bills.last_billed_date,
        false
    ) as is_whole_bill_reported
from usage_months
full join cost_months
    on
        usage_months.provider_name = cost_months.provider_name
        and usage_months.month_start_date = cost_months.month_start_date
left join bills
    on
        coalesce(usage_months.provider_name, cost_months.provider_name) = bills.provider_name
        and coalesce(usage_months.month_start_date, cost_months.month_start_date) = bills.month_start_date
