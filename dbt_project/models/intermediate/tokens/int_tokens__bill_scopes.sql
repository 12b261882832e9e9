-- One row per provider, month and scope of its bill: what the gateway priced, what was billed, and how much of the
-- difference each cause can explain at most. Exact causes (`_usd` of fx and timing) are facts; the others are caps.
with scopes as (
    select
        provider_name,
        billing_account_id,
        month_start_date,
        scope_id,
        {% for column in [
            'effective_cost', 'billed_list_cost', 'fx_effect', 'plain_cost', 'list_cost', 'calculated_cost',
            'cached_at_input_cost', 'failed_cost', 'repeated_cost', 'other_tier_cost', 'missing_usage_exposure',
            'no_price_exposure'
        ] -%}
        {{ usd_sum(column ~ '_usd') }} as {{ column }}_usd,
        {% endfor -%}
        coalesce({{ usd_sum('case when is_after_the_bill then calculated_cost_usd end') }}, 0) as after_the_bill_usd,
        coalesce({{ usd_sum('case when is_unseen_day then effective_cost_usd end') }}, 0) as unseen_days_usd,
        cast(sum(provider_tokens) as bigint) as provider_tokens,
        cast(sum(case when is_after_the_bill then 0 else provider_tokens end) as bigint) as compared_tokens,
        cast(sum(unpriced_tokens) as bigint) as unpriced_tokens,
        case
            when sum(uncounted_lines) = 0 and sum(billed_tokens) > 0
                then cast(sum(case when is_after_the_bill then 0 else billed_tokens end) as bigint)
        end as billed_tokens
    from {{ ref('int_tokens__scope_days') }}
    group by provider_name, billing_account_id, month_start_date, scope_id
),

compared as (
    select
        *,
        effective_cost_usd - calculated_cost_usd as variance_usd,
        provider_tokens = 0 as is_unseen,
        provider_tokens > 0 and unpriced_tokens = provider_tokens as is_unpriced,
        -- The bill's own discount beyond the one that the company's own prices know of.
        billed_list_cost_usd - effective_cost_usd - (list_cost_usd - calculated_cost_usd) as unknown_discount_usd,
        case
            when billed_tokens > compared_tokens then {{ from_nano(integer_div(
                'greatest(' ~ nano_usd('effective_cost_usd') ~ ', 0) * (billed_tokens - compared_tokens)',
                'billed_tokens'
            )) }}
            else 0
        end as unseen_tokens_usd
    from scopes
)

select
    provider_name,
    billing_account_id,
    month_start_date,
    scope_id,
    plain_cost_usd,
    list_cost_usd,
    calculated_cost_usd,
    effective_cost_usd,
    variance_usd,
    cached_at_input_cost_usd,
    fx_effect_usd as fx_usd,
    -after_the_bill_usd as timing_usd,
    is_unseen,
    is_unpriced,
    -- More billed than priced.
    case when billed_tokens <= compared_tokens then 0 else missing_usage_exposure_usd end as missing_usage_up_usd,
    case when billed_tokens is null then greatest(unseen_days_usd, 0) else unseen_tokens_usd end as unseen_up_usd,
    no_price_exposure_usd + greatest(-unknown_discount_usd, 0) as price_version_up_usd,
    other_tier_cost_usd as tier_up_usd,
    -- More priced than billed. Batch and flex tiers are sold at half price, priority above the standard one.
    case when billed_tokens >= compared_tokens then 0 else failed_cost_usd end as failed_down_usd,
    case when billed_tokens >= compared_tokens then 0 else repeated_cost_usd end as duplicate_down_usd,
    {{ from_nano(integer_div(nano_usd('other_tier_cost_usd'), '2')) }} as tier_down_usd,
    greatest(unknown_discount_usd, 0) as price_version_down_usd
from compared
