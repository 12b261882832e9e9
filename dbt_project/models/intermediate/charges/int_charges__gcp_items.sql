-- One row per row of a Google Cloud bill: what credits take off its price, and its part in commitments. `pool_id` names
-- the fees of a day and the usage that they may have paid for; only fees without an offset of their own have one.
{{ config(rebuild_touched('billing_period_start_date')) }}

{%- set fee_pool = "concat_ws('|', 'resource', coalesce(region_id, ''), coalesce(consumed_unit, ''), resource_class)" %}
{%- set spend_pool = "concat_ws('|', 'spend', spend_scope)" %}

with items as (
    select
        *,
        case when lower(charge_description) like '%gpu%' then 'gpu' else '' end as resource_class,
        case when service_name in ('Kubernetes Engine', 'Cloud Run') then 'Compute Engine' else service_name end
            as spend_scope
    from {{ ref('stg_gcp_billing__line_items') }}
    where
        billing_period_start_date in (
            select billing_period_start_date from {{ source('build', 'touched_periods') }}
        )
),

credits as (
    select
        credits.source_name,
        credits.object_uri,
        credits.object_position,
        credits.billing_period_start_date,
        cast(sum(credits.credit_local) as decimal(38, 18)) as discount_local,
        {%- for model in ['resource', 'spend', 'fee'] %}
        cast(
            sum(case when discounts.commitment_model = '{{ model }}' then credits.credit_local else 0 end)
            as decimal(38, 18)
        ) as {{ model }}_discount_local,
        {%- endfor %}
        max(case when discounts.commitment_model in ('resource', 'spend') then credits.credit_id end) as commitment_id
    from {{ ref('stg_gcp_billing__credits') }} as credits
    inner join {{ ref('gcp_discounts') }} as discounts on credits.credit_type = discounts.credit_type
    where
        credits.billing_period_start_date in (
            select billing_period_start_date from {{ source('build', 'touched_periods') }}
        )
    group by all
),

credited as (
    select
        items.*,
        credits.commitment_id,
        coalesce(credits.discount_local, 0) as discount_local,
        coalesce(credits.resource_discount_local, 0) as resource_discount_local,
        coalesce(credits.spend_discount_local, 0) as spend_discount_local,
        coalesce(credits.fee_discount_local, 0) != 0 as has_fee_offset,
        items.row_type = 'regular' and (
            coalesce(lower(items.charge_description) like 'commitment%', false)
            or coalesce(credits.fee_discount_local, 0) != 0
            or {{ json_text('items.tags', "'goog-originating-sku-id'") }} is not null
        ) as is_fee
    from items
    left join credits
        on
            items.source_name = credits.source_name
            and items.object_uri = credits.object_uri
            and items.object_position = credits.object_position
            and items.billing_period_start_date = credits.billing_period_start_date
)

select
    source_name,
    object_uri,
    object_position,
    billing_account_id,
    currency_code,
    cast(charge_start_at as date) as usage_date,
    is_fee,
    row_type = 'regular' and not is_fee and (
        resource_discount_local < 0 or spend_discount_local < 0 or coalesce(consumption_model, 'Default') != 'Default'
    ) as is_covered,
    case
        when is_fee then coalesce(subscription_id, sku_id)
        when resource_discount_local < 0 or spend_discount_local < 0 then coalesce(subscription_id, commitment_id)
        when coalesce(consumption_model, 'Default') != 'Default' then coalesce(subscription_id, consumption_model)
    end as commitment_discount_id,
    case
        when row_type != 'regular' or (is_fee and has_fee_offset) then null
        when is_fee and lower(charge_description) like '%dollar based%' then {{ spend_pool }}
        when is_fee or resource_discount_local < 0 then {{ fee_pool }}
        when spend_discount_local < 0 then {{ spend_pool }}
    end as pool_id,
    discount_local,
    gross_cost_local,
    -- What the fee was shared by: of resources the quantity that was covered, of spend the discount itself.
    case
        when is_fee then {{ nano_usd('coalesce(consumed_quantity, 0)') }}
        when resource_discount_local < 0
            then coalesce({{ or_null(integer_div(
                nano_usd('abs(consumed_quantity)') ~ ' * ' ~ nano_usd('-resource_discount_local'),
                nano_usd('abs(gross_cost_local)')
            )) }}, 0)
        when spend_discount_local < 0 then {{ nano_usd('-spend_discount_local') }}
    end as pool_weight,
    billing_period_start_date
from credited
