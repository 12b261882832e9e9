-- One row per charge line of a Google Cloud bill as FOCUS has it: each row of the export with the discounts of its
-- price in it, a line of its own for every other credit, and one for what of a commitment was paid and not used. A bill
-- that Google also delivers as FOCUS is read there.
{{ config(materialized='view') }}

with items as (
    select * from {{ ref('stg_gcp_billing__line_items') }} as items
    where
        not exists (
            select 1 from {{ ref('stg_focus__charges') }} as focus
            where
                focus.provider_name = 'Google Cloud'
                and focus.billing_account_id = items.billing_account_id
                and focus.billing_period_start_date = items.billing_period_start_date
        )
),

costed as (
    select
        items.*,
        credited.is_covered,
        credited.commitment_discount_id,
        services.service_category,
        case
            when
                services.service_category = 'AI and Machine Learning'
                and (lower(items.charge_description) like '%gemini%' or lower(items.charge_description) like '%claude%')
                then 'Generative AI'
            else services.service_subcategory
        end as service_subcategory,
        items.gross_cost_local + credited.discount_local as billed_cost_local,
        case
            when not credited.is_fee
                then items.gross_cost_local + credited.discount_local + coalesce(fees.fee_share_local, 0)
            when fees.is_unused or fees.fee_share_local is null then 0
            else fees.fee_share_local
        end as effective_cost_local,
        -- A fee with an offset of its own says what was not used of it.
        case
            when not credited.is_fee then null
            when credited.pool_id is null then items.gross_cost_local + credited.discount_local
            when fees.is_unused then fees.fee_share_local
        end as unused_cost_local,
        case
            when items.row_type = 'tax' then 'Tax'
            when items.row_type != 'regular' then 'Adjustment'
            when credited.is_fee then 'Purchase'
            else 'Usage'
        end as charge_category,
        items.row_type = 'adjustment' or items.adjustment_id is not null as is_adjustment,
        -- An invoice month is a month of Pacific time.
        date_trunc('month', {{ wall_clock('items.charge_start_at', 'America/Los_Angeles') }}) as pacific_month
    from items
    inner join {{ ref('int_charges__gcp_items') }} as credited
        on
            items.source_name = credited.source_name
            and items.object_uri = credited.object_uri
            and items.object_position = credited.object_position
            and items.billing_period_start_date = credited.billing_period_start_date
    left join {{ ref('int_charges__gcp_fee_shares') }} as fees
        on
            items.source_name = fees.source_name
            and items.object_uri = fees.object_uri
            and items.object_position = fees.object_position
            and items.billing_period_start_date = fees.billing_period_start_date
    left join {{ ref('gcp_services') }} as services on items.service_name = services.service_name
),

lines as (
    select
        *,
        'Google Cloud' as provider_name,
        cast(null as string) as invoice_id,
        case when is_adjustment and cast(pacific_month as date) < billing_period_start_date then 'Correction' end
            as charge_class,
        case charge_category when 'Usage' then 'Usage-Based' when 'Purchase' then 'Recurring' else 'One-Time' end
            as charge_frequency,
        case
            when is_covered then 'Committed'
            when charge_category = 'Usage' and lower(charge_description) like '%preemptible%' then 'Dynamic'
            when charge_category in ('Usage', 'Purchase') then 'Standard'
        end as pricing_category,
        case when is_covered then 'Used' end as commitment_discount_status,
        cast(null as string) as sku_price_details
    from costed
),

unused_lines as (
    select * from lines
    where unused_cost_local != 0
),

credit_lines as (
    select
        lines.*,
        credits.credit_name,
        credits.credit_local
    from lines
    inner join {{ ref('stg_gcp_billing__credits') }} as credits
        on
            lines.source_name = credits.source_name
            and lines.object_uri = credits.object_uri
            and lines.object_position = credits.object_position
            and lines.billing_period_start_date = credits.billing_period_start_date
    left join {{ ref('gcp_discounts') }} as discounts on credits.credit_type = discounts.credit_type
    where credits.credit_local != 0 and discounts.credit_type is null
)

select
    {{ charge_line_columns() }},
    consumed_quantity,
    consumed_unit
from lines
{%- set plain = {
    'charge_class': 'cast(null as string)',
    'list_cost_local': 'cast(null as decimal(38, 18))',
} %}
{%- set unused = dict(plain, **{
    'resource_id': 'commitment_discount_id',
    'charge_category': "'Usage'",
    'charge_frequency': "'Usage-Based'",
    'pricing_category': "'Committed'",
    'commitment_discount_status': "'Unused'",
    'billed_cost_local': 'cast(0 as decimal(38, 18))',
    'effective_cost_local': 'unused_cost_local',
    'list_cost_local': 'cast(0 as decimal(38, 18))',
    'contracted_cost_local': 'cast(0 as decimal(38, 18))',
}) %}
{%- set credit = dict(plain, **{
    'commitment_discount_id': 'cast(null as string)',
    'charge_category': "'Credit'",
    'charge_frequency': "'One-Time'",
    'charge_description': 'credit_name',
    'pricing_category': 'cast(null as string)',
    'commitment_discount_status': 'cast(null as string)',
    'billed_cost_local': 'credit_local',
    'effective_cost_local': 'credit_local',
    'contracted_cost_local': 'credit_local',
}) %}
{%- for relation, values in [('unused_lines', unused), ('credit_lines', credit)] %}
union all
select
    {% for column in charge_line_columns().replace('\n', ' ').split(',') | map('trim') -%}
    {{ values.get(column, column) }},
    {% endfor -%}
    cast(null as decimal(38, 18)),
    cast(null as string)
from {{ relation }}
{%- endfor %}
