-- One row per day and provider: what its cost report says, in USD, for tokens and for all else; null, never 0, when a
-- result of the day has no exchange rate.
{{ config(rebuild_touched('usage_date')) }}

with results as (
    select
        results.*,
        case
            when results.currency_code = 'USD' then {{ usd('results.reported_cost_local') }}
            else {{ convert_usd('results.reported_cost_local', 'fx_rates.usd_per_unit') }}
        end as reported_cost_usd,
        coalesce(results.cost_type, 'tokens') = 'tokens'
        and coalesce(results.reported_unit, 'tokens') in ('tokens', '1000_tokens') as is_token_charge
    from {{ ref('int_tokens__provider_results') }} as results
    left join {{ ref('stg_config__fx_rates') }} as fx_rates
        on
            results.currency_code = fx_rates.currency_code
            and fx_rates.to_currency_code = 'USD'
            and {{ is_valid_on('fx_rates', 'results.usage_date') }}
    where
        results.report = 'costs'
        and results.usage_date in (select usage_date from {{ source('build', 'touched_days') }})
)

select
    usage_date,
    provider_name,
    case
        when count(*) = count(reported_cost_usd)
            then coalesce({{ usd_sum('case when is_token_charge then reported_cost_usd end') }}, 0)
    end as token_cost_usd,
    case
        when count(*) = count(reported_cost_usd)
            then coalesce({{ usd_sum('case when not is_token_charge then reported_cost_usd end') }}, 0)
    end as other_cost_usd
from results
group by usage_date, provider_name
