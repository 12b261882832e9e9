-- One row per billing period, provider, account and billed model: the tokens that its bill counts; null where a line
-- of it counts something else, or nothing.
{{ config(rebuild_touched('billing_period_start_date')) }}

with lines as (
    select
        *,
        {{ charge_key() }} as charge_key,
        {{ tokens_per_unit('consumed_unit') }} as tokens_per_unit
    from {{ ref('int_charges__provider_lines') }}
    where billing_period_start_date in (
        select billing_period_start_date from {{ source('build', 'touched_periods') }}
    )
),

token_charges as (
    select distinct
        charge_key,
        billed_model_id
    from {{ ref('int_charges__routed') }}
    where route = 'token'
)

select
    lines.provider_name,
    lines.billing_account_id,
    coalesce(token_charges.billed_model_id, '') as billed_model_id,
    case
        when count(*) = count(lines.consumed_quantity * lines.tokens_per_unit)
            then cast(round(sum(lines.consumed_quantity * lines.tokens_per_unit), 0) as bigint)
    end as billed_tokens,
    lines.billing_period_start_date
from lines
inner join token_charges on lines.charge_key = token_charges.charge_key
group by
    lines.provider_name, lines.billing_account_id, coalesce(token_charges.billed_model_id, ''),
    lines.billing_period_start_date
