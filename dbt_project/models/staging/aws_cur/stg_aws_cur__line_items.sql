-- One row per line item of an AWS Cost and Usage Report, in the currency it was billed in; costs net of negotiated
-- discounts where the report has them.
with source as (
    select * from {{ source('raw', 'aws_cur_line_items') }}
),

renamed as (
    select
        -- keys
        _source as source_name,
        _object as object_uri,
        _position as object_position,
        bill_payer_account_id as billing_account_id,
        line_item_usage_account_id as sub_account_id,
        bill_invoice_id as invoice_id,
        line_item_resource_id as resource_id,
        split_line_item_parent_resource_id as parent_resource_id,
        savings_plan_savings_plan_a_r_n as savings_plan_id,
        reservation_reservation_a_r_n as reservation_id,
        coalesce(product_sku, pricing_rate_code) as sku_id,

        -- dimensions
        line_item_currency_code as currency_code,
        line_item_line_item_type as line_item_type,
        line_item_product_code as product_code,
        line_item_operation as operation_name,
        line_item_usage_type as usage_type,
        line_item_line_item_description as charge_description,
        coalesce(
            product_product_name, {{ json_text('product', "'product_name'") }}, line_item_product_code
        ) as service_name,
        resource_tags as tags,
        -- AWS's split of a node among its pods and tasks: rows beside the node's own, never added to them.
        coalesce(line_item_operation in ('EKSPod-EC2', 'ECSTask-EC2'), false) as is_split_line,

        -- money, in currency_code, lossless
        coalesce(line_item_net_unblended_cost, line_item_unblended_cost) as unblended_cost_local,
        -- A negation takes back what was charged, not what the list says of the same usage.
        case
            when coalesce(line_item_line_item_type, '') != 'SavingsPlanNegation' then pricing_public_on_demand_cost
        end as list_cost_local,
        coalesce(
            savings_plan_net_savings_plan_effective_cost, savings_plan_savings_plan_effective_cost
        ) as savings_plan_cost_local,
        savings_plan_total_commitment_to_date - savings_plan_used_commitment as savings_plan_unused_cost_local,
        coalesce(reservation_net_effective_cost, reservation_effective_cost) as reservation_cost_local,
        -- No upfront fee is no fee; without the recurring one, nothing is said.
        coalesce(reservation_net_unused_recurring_fee, reservation_unused_recurring_fee) + coalesce(
            reservation_net_unused_amortized_upfront_fee_for_billing_period,
            reservation_unused_amortized_upfront_fee_for_billing_period,
            0
        ) as reservation_unused_cost_local,
        coalesce(split_line_item_net_split_cost, split_line_item_split_cost) as split_cost_local,
        coalesce(split_line_item_net_unused_cost, split_line_item_unused_cost) as split_unused_cost_local,

        -- quantities, in consumed_unit
        line_item_usage_amount as consumed_quantity,
        pricing_unit as consumed_unit,
        split_line_item_reserved_usage as reserved_quantity,
        split_line_item_actual_usage as actual_quantity,
        split_line_item_split_usage as split_quantity,

        -- time; a fee of one instant stands for its first hour
        billing_period_date as billing_period_start_date,
        line_item_usage_start_date as charge_start_at,
        case
            when line_item_usage_end_date > line_item_usage_start_date then line_item_usage_end_date
            else {{ add_hours('line_item_usage_start_date', 1) }}
        end as charge_end_at
    from source
)

select * from renamed
