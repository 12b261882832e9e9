-- One row per provider, account, month, step and cause: from the gateway's tokens to what a provider billed for models.
-- The steps before `model_bill` add up to it, in billed and in effective cost.
with gateway as (
    {% for number, step, cause, amount in [
        (5, 'gateway_calculated', 'plain_tokens_at_list_price', 'plain_cost_usd'),
        (6, 'gateway_classes', 'cache_semantics', 'list_cost_usd - plain_cost_usd'),
        (7, 'gateway_negotiated', 'own_price', 'calculated_cost_usd - list_cost_usd'),
    ] -%}
    select
        provider_name,
        billing_account_id,
        month_start_date,
        {{ number }} as step_number,
        '{{ step }}' as step,
        '{{ cause }}' as cause,
        {{ amount }} as billed_cost_usd,
        {{ amount }} as effective_cost_usd
    from {{ ref('int_tokens__bill_scopes') }}
    union all
    {% endfor -%}
    select
        provider_name,
        billing_account_id,
        month_start_date,
        8,
        'gateway_variance',
        cause,
        variance_usd,
        variance_usd
    from {{ ref('int_tokens__bill_variances') }}
),

bills as (
    select
        model_bills.*,
        case
            when scopes.billing_account_id = 'all accounts' then scopes.billing_account_id
            else model_bills.billing_account_id
        end as shown_account_id,
        cast(date_trunc('month', model_bills.billing_period_start_date) as date) as month_start_date
    from {{ ref('int_tokens__model_bills') }} as model_bills
    left join (
        select distinct
            provider_name,
            month_start_date,
            billing_account_id
        from {{ ref('int_tokens__bill_scopes') }}
    ) as scopes
        on
            model_bills.provider_name = scopes.provider_name
            and date_trunc('month', model_bills.billing_period_start_date) = scopes.month_start_date
),

provider_steps as (
    select
        provider_name,
        shown_account_id,
        month_start_date,
        case bill_kind when 'own_project' then 8 when 'other' then 8 when 'credit' then 9 else 11 end,
        case bill_kind
            when 'own_project' then 'gateway_variance' when 'other' then 'gateway_variance'
            when 'credit' then 'model_credits' else 'model_taxes'
        end,
        case bill_kind when 'own_project' then 'unseen_traffic' when 'other' then 'non_token_charge' else bill_kind end,
        billed_cost_usd,
        effective_cost_usd
    from bills
    where bill_kind != 'gateway'
    union all
    -- What a commitment paid for is used here and billed elsewhere.
    select
        provider_name,
        shown_account_id,
        month_start_date,
        10,
        'model_commitments',
        'non_token_charge',
        billed_cost_usd - effective_cost_usd,
        0
    from bills
    where bill_kind = 'gateway' and billed_cost_usd != effective_cost_usd
    union all
    select
        provider_name,
        shown_account_id,
        month_start_date,
        12,
        'model_bill',
        'billed',
        billed_cost_usd,
        effective_cost_usd
    from bills
)

select
    provider_name,
    billing_account_id,
    month_start_date,
    step_number,
    step,
    cause,
    {{ usd_sum('billed_cost_usd') }} as billed_cost_usd,
    {{ usd_sum('effective_cost_usd') }} as effective_cost_usd
from (select * from gateway union all select * from provider_steps) as steps
group by provider_name, billing_account_id, month_start_date, step_number, step, cause
