-- One row per delivered charge line: what a provider billed, where it stands in the file, and the charge group whose
-- edges say all it paid for. A line whose currency has no rate has null USD: its slice is held back.
{{ config(rebuild_touched('billing_period_start_date')) }}

with lines as (
    select
        *,
        {{ charge_key() }} as charge_key
    from {{ ref('int_charges__lines') }}
    where billing_period_start_date in (
        select billing_period_start_date from {{ source('build', 'touched_periods') }}
    )
)

select
    md5(concat_ws(
        '|',
        lines.source_name,
        lines.object_uri,
        cast(lines.object_position as string),
        -- A line of a power invoice, or of the register of machines, stands for several charges.
        lines.charge_key,
        cast(lines.charge_start_at as string)
    )) as invoice_line_id,
    lines.charge_key,
    lines.source_name,
    lines.object_uri,
    lines.object_position,
    lines.invoice_id,
    lines.provider_name,
    lines.billing_account_id,
    lines.sub_account_id,
    lines.billing_period_start_date,
    lines.charge_start_at,
    lines.charge_end_at,
    lines.charge_category,
    lines.charge_description,
    lines.service_name,
    lines.resource_id,
    lines.currency_code,
    {{ costs('lines.$', unit='local') }},
    cast(slices.usd_per_unit as decimal(18, 9)) as usd_per_unit,
    slices.fx_rate_source,
    {{ costs('cast(' ~ convert_usd('lines.@_local', 'slices.usd_per_unit') ~ ' as decimal(18, 9)) as $') }}
from lines
left join {{ ref('int_charges__slices') }} as slices
    on
        lines.source_name = slices.source_name
        and lines.provider_name = slices.provider_name
        and lines.billing_account_id = slices.billing_account_id
        and lines.billing_period_start_date = slices.billing_period_start_date
        and lines.currency_code = slices.currency_code
        and slices.is_admitted
