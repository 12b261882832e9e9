-- One row per charge group, charge interval and rate, of the billing periods being built: USD to the nano-dollar.
-- A group whose currency has no rate on its period's first day is held back: null USD, `is_admitted` false. So is each
-- group of a slice in which one has a billion USD or more, which no row holds.
with charges as (
    select
        *,
        {{ charge_key() }} as charge_key
    from {{ ref('int_charges__lines') }}
    where billing_period_start_date in (
        select billing_period_start_date from {{ source('build', 'touched_periods') }}
    )
),

summed as (
    select
        charge_key,
        charge_start_at,
        charge_end_at,
        source_name,
        provider_name,
        billing_account_id,
        sub_account_id,
        billing_period_start_date,
        currency_code,
        charge_category,
        charge_class,
        charge_frequency,
        invoice_id,
        service_name,
        service_category,
        service_subcategory,
        resource_id,
        sku_id,
        commitment_discount_id,
        commitment_discount_status,
        tags,
        {{ json_text('sku_price_details', "'x_ModelId'") }} as billed_model_id,
        {{ costs('sum($) as $', unit='local') }},
        count(*) as charge_line_count
    from charges
    group by all
),

rated as (
    select
        summed.*,
        case when summed.currency_code = 'USD' then 1 else fx_rates.usd_per_unit end as known_usd_per_unit,
        fx_rates.rate_source as fx_rate_source
    from summed
    left join {{ ref('stg_config__fx_rates') }} as fx_rates
        on
            summed.currency_code = fx_rates.currency_code
            and fx_rates.to_currency_code = 'USD'
            and {{ is_valid_on('fx_rates', 'summed.billing_period_start_date') }}
),

measured as (
    select
        *,
        max(greatest(
            {{ costs('abs(coalesce($, 0))', unit='local') }}
        )) over (
            partition by source_name, provider_name, billing_account_id, billing_period_start_date, currency_code
        ) as largest_cost_local
    from rated
),

admitted as (
    select
        *,
        case
            when {{ or_null(convert_usd('largest_cost_local', 'known_usd_per_unit')) }} < 1000000000
                then known_usd_per_unit
        end as usd_per_unit
    from measured
)

select
    charge_key,
    charge_start_at,
    charge_end_at,
    cast(charge_start_at as date) as usage_date,
    source_name,
    provider_name,
    billing_account_id,
    sub_account_id,
    billing_period_start_date,
    currency_code,
    charge_category,
    charge_class,
    charge_frequency,
    invoice_id,
    service_name,
    service_category,
    service_subcategory,
    resource_id,
    case when resource_id is not null then {{ node_key('resource_id') }} end as node_key,
    sku_id,
    commitment_discount_id,
    commitment_discount_status,
    tags,
    billed_model_id,
    charge_line_count,
    -- What the lines of the group say in money: another version is a late or corrected line.
    md5(concat_ws(
        '|',
        {{ costs("coalesce(cast(sum($) over (partition by charge_key) as string), '~')", unit='local') }}
    )) as charge_version,
    usd_per_unit is not null as is_admitted,
    usd_per_unit,
    fx_rate_source,
    {{ costs(unit='local') }},
    {{ costs(usd(convert_usd('@_local', 'usd_per_unit')) ~ ' as $') }}
from admitted
