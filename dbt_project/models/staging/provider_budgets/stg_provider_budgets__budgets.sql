-- One row per budget in one listing of its billing account, as it stood on the listing's day.
with source as (
    select * from {{ source('provider_budgets', 'provider_budgets') }}
),

renamed as (
    select
        -- keys
        _source as source_name,
        _object as object_uri,
        _position as object_position,
        provider as provider_id,
        billing_account_id,
        budget_id,

        -- dimensions
        budget_name,
        period as budget_period,
        credit_treatment,
        credit_types,
        projects as scope_projects,
        resource_ancestors as scope_resource_ancestors,
        services as scope_services,
        subaccounts as scope_subaccounts,
        labels as scope_labels,
        threshold_rules,
        is_last_period_amount,
        currency as currency_code,

        -- money, in currency_code
        budgeted_amount as budgeted_local,

        -- time
        custom_start_date,
        custom_end_date,
        as_of as listed_at,
        usage_date as listed_date
    from source
)

select * from renamed
