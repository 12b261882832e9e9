-- One row per provider, account, month, step and cause: from what the provider says was used, over what it says was
-- charged, to what it billed. `usage_api` and its variance come to `cost_api`, that and its variance to the bill.
with months as (
    select
        *,
        cast(token_cost_usd - priced_cost_usd as decimal(38, 9)) as token_variance_usd,
        cast(billed_cost_usd - token_cost_usd - other_cost_usd as decimal(38, 9)) as bill_variance_usd
    from {{ ref('int_tokens__provider_months') }}
),

-- Batches are sold at half the list price, priority above it.
tiered as (
    select
        *,
        cast(case
            when token_variance_usd > 0 then least(token_variance_usd, other_tier_cost_usd)
            when token_variance_usd < 0
                then -least(-token_variance_usd, {{ from_nano(integer_div(nano_usd('other_tier_cost_usd'), '2')) }})
            else 0
        end as decimal(38, 9)) as tier_usd
    from months
),

steps as (
    {% for number, step, cause, amount in [
        (13, 'usage_api', 'reported_tokens_at_own_price', 'priced_cost_usd'),
        (14, 'usage_api_variance', 'tier', 'tier_usd'),
        (14, 'usage_api_variance', 'rest', 'token_variance_usd - tier_usd'),
        (14, 'usage_api_variance', 'non_token_charge', 'case when priced_cost_usd is not null then other_cost_usd end'),
        (15, 'cost_api', 'reported', 'token_cost_usd + other_cost_usd'),
        (16, 'cost_api_variance', 'bill', 'bill_variance_usd')
    ] -%}
    select
        *,
        {{ number }} as step_number,
        '{{ step }}' as step,
        '{{ cause }}' as cause,
        cast({{ amount }} as decimal(38, 9)) as step_usd
    from tiered
    {{ 'union all' if not loop.last }}
    {% endfor %}
)

select
    provider_name,
    billing_account_id,
    month_start_date,
    step_number,
    step,
    case
        when cause not in ('rest', 'bill') then cause
        when abs(step_usd) < 0.01 then 'rounding'
        when cause = 'rest' and has_unpriced_tokens and step_usd > 0 then 'price_version'
        when cause = 'bill' and not is_whole_bill_reported then 'timing'
        else 'unknown'
    end as cause,
    step_usd as billed_cost_usd,
    step_usd as effective_cost_usd
from steps
where step_usd is not null and (step_usd != 0 or step in ('usage_api', 'cost_api'))
