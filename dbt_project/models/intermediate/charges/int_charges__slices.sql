-- One row per source, account, billing period and currency: what was delivered, and whether a rate admits it.
{{ config(rebuild_touched('billing_period_start_date', touched_by=['int_charges__groups'])) }}

select
    source_name,
    provider_name,
    billing_account_id,
    currency_code,
    is_admitted,
    max(usd_per_unit) as usd_per_unit,
    max(fx_rate_source) as fx_rate_source,
    cast(sum(charge_line_count) as bigint) as charge_line_count,
    {{ costs('cast(sum($) as decimal(38, 18)) as $', unit='local') }},
    billing_period_start_date
from {{ ref('int_charges__groups') }}
group by all
