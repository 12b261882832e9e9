-- One row per provider, month, model, day and account: the tokens that a bill for models stands for. The provider's own
-- report counts, where it tells of the whole bill and by the bill's names; else the bill, dated by its period.
with billed as (
    select
        *,
        cast(date_trunc('month', billing_period_start_date) as date) as month_start_date
    from {{ ref('int_tokens__billed_tokens') }}
),

own_projects as (
    select distinct
        provider_name,
        cast(date_trunc('month', billing_period_start_date) as date) as month_start_date,
        project_id
    from {{ ref('int_tokens__own_projects') }}
),

reported as (
    select
        usage.provider_name,
        cast(date_trunc('month', usage.usage_date) as date) as month_start_date,
        usage.model_id,
        usage.usage_date,
        cast(sum(usage.reported_tokens) as bigint) as reported_tokens
    from {{ ref('int_tokens__provider_usage') }} as usage
    left join own_projects
        on
            usage.provider_name = own_projects.provider_name
            and date_trunc('month', usage.usage_date) = own_projects.month_start_date
            and usage.project_id = own_projects.project_id
    where own_projects.project_id is null
    group by usage.provider_name, usage.model_id, usage.usage_date
),

bill_names as (
    select distinct
        provider_name,
        cast(date_trunc('month', billing_period_start_date) as date) as month_start_date,
        billed_model_id as model_id
    from {{ ref('int_tokens__model_bills') }}
    where bill_kind = 'gateway'
),

gateway_names as (
    select distinct
        provider_name,
        cast(date_trunc('month', usage_date) as date) as month_start_date,
        model_id
    from {{ ref('int_tokens__model_days') }}
),

-- A name that the bill and the gateway use and the report does not: its tokens may stand under another one.
unreported_names as (
    select distinct
        bill_names.provider_name,
        bill_names.month_start_date
    from bill_names
    inner join gateway_names
        on
            bill_names.provider_name = gateway_names.provider_name
            and bill_names.month_start_date = gateway_names.month_start_date
            and bill_names.model_id = gateway_names.model_id
    left join reported
        on
            bill_names.provider_name = reported.provider_name
            and bill_names.month_start_date = reported.month_start_date
            and bill_names.model_id = reported.model_id
    where reported.model_id is null
),

reported_months as (
    select
        months.provider_name,
        months.month_start_date
    from {{ ref('int_tokens__provider_months') }} as months
    left join unreported_names
        on
            months.provider_name = unreported_names.provider_name
            and months.month_start_date = unreported_names.month_start_date
    where
        months.is_whole_bill_reported
        and months.priced_cost_usd is not null
        and unreported_names.provider_name is null
)

select
    billed.provider_name,
    billed.month_start_date,
    billed.billed_model_id as model_id,
    billed.billing_period_start_date as usage_date,
    billed.billing_account_id,
    billed.billed_tokens
from billed
left join reported_months
    on
        billed.provider_name = reported_months.provider_name
        and billed.month_start_date = reported_months.month_start_date
where reported_months.provider_name is null
union all
select
    reported.provider_name,
    reported.month_start_date,
    reported.model_id,
    reported.usage_date,
    'all accounts' as billing_account_id,
    reported.reported_tokens as billed_tokens
from reported
inner join reported_months
    on
        reported.provider_name = reported_months.provider_name
        and reported.month_start_date = reported_months.month_start_date
