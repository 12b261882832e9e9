-- One row per billing period, provider, account, day, billed model and kind: all that the services of API models bill.
-- gateway: use that may have passed through the gateway · own_project: use of a project that an owner rule names, past
-- the gateway · credit, tax · other: storage, search, commitments.
{{ config(rebuild_touched('billing_period_start_date', touched_by=['int_charges__routed'])) }}

with routed as (
    select
        *,
        cost_pool = 'llm_api' as is_model_use,
        coalesce(cost_pool in ('llm_api', 'credit', 'tax', 'support'), false) as is_model_account_line
    from {{ ref('int_charges__routed') }}
),

model_services as (
    select distinct
        provider_name,
        billing_account_id,
        billing_period_start_date,
        service_name
    from routed
    where is_model_use
),

-- Accounts that bill models and nothing else: their taxes and credits, which often name no service, are the models'.
model_accounts as (
    select
        provider_name,
        billing_account_id,
        billing_period_start_date
    from routed
    group by provider_name, billing_account_id, billing_period_start_date
    having max(is_model_use) and min(is_model_account_line)
),

kinds as (
    select
        routed.provider_name,
        routed.billing_account_id,
        routed.billing_period_start_date,
        routed.usage_date,
        coalesce(routed.billed_model_id, '') as billed_model_id,
        case
            when routed.is_model_use and routed.route = 'token' then 'gateway'
            when routed.is_model_use then 'own_project'
            when routed.cost_pool in ('credit', 'tax') then routed.cost_pool
            else 'other'
        end as bill_kind,
        routed.billed_cost_usd,
        routed.effective_cost_usd,
        coalesce(routed.list_cost_usd, routed.effective_cost_usd) as list_cost_usd,
        case
            when routed.currency_code = 'USD' or fx_rates.usd_per_unit is null then 0
            when routed.is_model_use and routed.route = 'token'
                then routed.effective_cost_usd - sign(routed.effective_cost_usd) * {{ from_nano(integer_div(
                    'abs(' ~ nano_usd('routed.effective_cost_usd') ~ ') * ' ~ nano_usd('fx_rates.usd_per_unit'),
                    nano_usd('routed.usd_per_unit')
                )) }}
            else 0
        end as fx_effect_usd
    from routed
    left join {{ ref('stg_config__fx_rates') }} as fx_rates
        on
            routed.currency_code = fx_rates.currency_code
            and fx_rates.to_currency_code = 'USD'
            and {{ is_valid_on('fx_rates', 'routed.usage_date') }}
    where
        routed.is_model_use
        or exists (
            select 1 from model_services
            where
                routed.provider_name = model_services.provider_name
                and routed.billing_account_id = model_services.billing_account_id
                and routed.billing_period_start_date = model_services.billing_period_start_date
                and routed.service_name = model_services.service_name
        )
        or exists (
            select 1 from model_accounts
            where
                routed.provider_name = model_accounts.provider_name
                and routed.billing_account_id = model_accounts.billing_account_id
                and routed.billing_period_start_date = model_accounts.billing_period_start_date
        )
)

select
    provider_name,
    billing_account_id,
    usage_date,
    billed_model_id,
    bill_kind,
    {{ usd_sum('billed_cost_usd') }} as billed_cost_usd,
    {{ usd_sum('effective_cost_usd') }} as effective_cost_usd,
    {{ usd_sum('list_cost_usd') }} as list_cost_usd,
    {{ usd_sum('fx_effect_usd') }} as fx_effect_usd,
    billing_period_start_date
from kinds
group by all
