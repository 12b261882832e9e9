-- One row per provider, month, model, day and side: the gateway's traffic beside the bill that it should explain, in
-- the scope they are compared in - a model that both sides name; what only one of them names is `rest`, together.
{%- set columns = [
    'effective_cost_usd', 'billed_list_cost_usd', 'fx_effect_usd', 'billed_tokens', 'uncounted_lines',
    'provider_tokens', 'unpriced_tokens', 'plain_cost_usd', 'list_cost_usd', 'calculated_cost_usd',
    'cached_at_input_cost_usd', 'failed_cost_usd', 'repeated_cost_usd', 'other_tier_cost_usd',
    'missing_usage_exposure_usd', 'no_price_exposure_usd'
] %}
{%- set sides = {
    'bills': {
        'effective_cost_usd': 'effective_cost_usd', 'billed_list_cost_usd': 'list_cost_usd',
        'fx_effect_usd': 'fx_effect_usd'
    },
    'counts': {
        'billed_tokens': 'coalesce(billed_tokens, 0)',
        'uncounted_lines': 'case when billed_tokens is null then 1 else 0 end'
    },
    'traffic': {}
} %}
{%- for column in columns[5:] %}{% do sides['traffic'].update({column: column}) %}{% endfor %}

with bills as (
    select
        *,
        billed_model_id as model_id,
        cast(date_trunc('month', billing_period_start_date) as date) as month_start_date
    from {{ ref('int_tokens__model_bills') }}
    where bill_kind = 'gateway'
),

months as (
    select
        provider_name,
        month_start_date,
        -- The gateway knows a provider's traffic, not which of its accounts is billed for it.
        case
            when count(distinct billing_account_id) = 1 then max(billing_account_id) else 'all accounts'
        end as billing_account_id,
        max(usage_date) as last_billed_date
    from bills
    group by provider_name, month_start_date
),

traffic as (
    select
        *,
        cast(date_trunc('month', usage_date) as date) as month_start_date
    from {{ ref('int_tokens__model_days') }}
),

both_named as (
    select distinct
        bills.provider_name,
        bills.month_start_date,
        bills.model_id
    from bills
    inner join traffic
        on
            bills.provider_name = traffic.provider_name
            and bills.month_start_date = traffic.month_start_date
            and bills.model_id = traffic.model_id
),

sides as (
    {% for side, filled in sides.items() -%}
    select
        provider_name,
        month_start_date,
        model_id,
        {% for column in columns -%}
        {{ filled[column] ~ ' as ' ~ column if column in filled else '0 as ' ~ column }},
        {% endfor -%}
        usage_date
    from {{ side if side != 'counts' else ref('int_tokens__bill_counts') }}
    {{ 'union all' if not loop.last }}
    {% endfor %}
)

select
    sides.*,
    months.billing_account_id,
    sides.usage_date > months.last_billed_date as is_after_the_bill,
    coalesce(both_named.model_id, 'rest') as scope_id,
    sum(sides.provider_tokens) over (
        partition by
            sides.provider_name, sides.month_start_date, coalesce(both_named.model_id, 'rest'), sides.usage_date
    ) = 0 as is_unseen_day
from sides
inner join months
    on
        sides.provider_name = months.provider_name
        and sides.month_start_date = months.month_start_date
left join both_named
    on
        sides.provider_name = both_named.provider_name
        and sides.month_start_date = both_named.month_start_date
        and sides.model_id = both_named.model_id
