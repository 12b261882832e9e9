-- One row per budget and day on which it was listed: what it says, and the days [valid_from, valid_to) on which that
-- is the newest listing of its billing account. Later listings never change earlier days; a budget that is in them no
-- more held until then.
with listed as (
    select *
    from {{ ref('stg_provider_budgets__budgets') }}
    -- Of several listings of one day the newest holds, whole.
    qualify rank() over (
        partition by provider_id, billing_account_id, listed_date
        order by listed_at desc nulls last
    ) = 1
),

budgets as (
    select *
    from listed
    -- Pages may overlap.
    qualify row_number() over (
        partition by provider_id, billing_account_id, budget_id, listed_date
        order by source_name, object_uri, object_position nulls last
    ) = 1
),

listing_days as (
    select
        provider_id,
        billing_account_id,
        listed_date,
        lead(listed_date) over (
            partition by provider_id, billing_account_id
            order by listed_date nulls last
        ) as next_listed_date
    from (select distinct provider_id, billing_account_id, listed_date from budgets) as days
)

select
    budgets.provider_id,
    budgets.billing_account_id,
    budgets.budget_id,
    budgets.budget_name,
    budgets.budget_period,
    budgets.custom_start_date,
    budgets.custom_end_date,
    budgets.budgeted_local,
    budgets.currency_code,
    budgets.is_last_period_amount,
    budgets.credit_treatment,
    budgets.credit_types,
    budgets.scope_projects,
    budgets.scope_resource_ancestors,
    budgets.scope_services,
    budgets.scope_subaccounts,
    budgets.scope_labels,
    budgets.threshold_rules,
    budgets.source_name,
    budgets.object_uri,
    budgets.object_position,
    budgets.listed_at,
    budgets.listed_date,
    budgets.listed_date as valid_from,
    coalesce(days.next_listed_date, date '9999-12-31') as valid_to
from budgets
inner join listing_days as days
    on
        budgets.provider_id = days.provider_id
        and budgets.billing_account_id = days.billing_account_id
        and budgets.listed_date = days.listed_date
