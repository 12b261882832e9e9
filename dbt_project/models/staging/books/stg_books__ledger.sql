-- One row per ledger row that a close booked.
with source as (
    select * from {{ source('raw', 'book_closed_ledger') }}
),

renamed as (
    select
        close_id,
        ledger_row_id,
        usage_date,
        billing_period_start_date,
        posting_period_start_date,
        posting_cause,
        provider_name,
        billing_account_id,
        invoice_id,
        charge_category,
        service_name,
        resource_id,
        cost_pool,
        team_id,
        cost_center_id,
        environment,
        workload_id,
        consumer_id,
        model_id,
        allocation_step,
        allocation_method,
        is_estimate,
        owner_rule_id,
        price_set_id,
        usd_per_unit,
        policy_id,
        charge_version,
        source_name,
        charge_key,
        {{ costs() }}
    from source
)

select * from renamed
