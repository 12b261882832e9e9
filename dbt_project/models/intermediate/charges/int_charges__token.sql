-- One row per API-model charge group, day and consumer: provider bills pushed down by the gateway's traffic.
-- Weights are priced tokens of the billed model where the gateway saw it that day, else of all the provider's traffic;
-- where nothing is priced, plain tokens, as an estimate. A day without traffic stays with the account's owner, else
-- with `unknown`.
with charges as (
    select
        charge_key,
        usage_date,
        gateway_provider_name as provider_name,
        billed_model_id,
        owner_team_id as account_team_id,
        owner_cost_center_id as account_cost_center_id,
        owner_environment as account_environment,
        max(owner_rule_id) as account_owner_rule_id,
        {{ costs(usd_sum('$') ~ ' as $') }}
    from {{ ref('int_charges__routed') }}
    where route = 'token'
    group by all
),

traffic as (
    select
        usage_date,
        provider_name,
        model_id,
        coalesce(team_id, 'untagged') as team_id,
        cost_center_id,
        environment,
        app_id,
        consumer_id,
        is_estimate,
        owner_rule_id,
        price_set_id,
        weight_nano_usd,
        weight_tokens
    from {{ ref('int_tokens__consumer_days') }}
    where weight_tokens > 0
),

model_days as (
    select distinct
        usage_date,
        provider_name,
        model_id
    from traffic
),

scoped as (
    select
        charges.*,
        model_days.model_id as scope_model_id
    from charges
    left join model_days
        on
            charges.usage_date = model_days.usage_date
            and charges.provider_name = model_days.provider_name
            and charges.billed_model_id = model_days.model_id
),

shares as (
    select
        scoped.*,
        traffic.team_id,
        traffic.cost_center_id,
        traffic.environment,
        traffic.app_id,
        traffic.consumer_id,
        traffic.model_id,
        traffic.owner_rule_id,
        traffic.price_set_id,
        coalesce(traffic.is_estimate, false) as is_traffic_estimate,
        md5(concat_ws(
            '|',
            traffic.team_id,
            coalesce(traffic.cost_center_id, '~'),
            coalesce(traffic.environment, '~'),
            coalesce(traffic.app_id, '~'),
            coalesce(traffic.consumer_id, '~'),
            traffic.model_id
        )) as consumer_key,
        coalesce(sum(traffic.weight_nano_usd) over (
            partition by scoped.charge_key, scoped.usage_date
        ), 0) = 0 as is_unpriced,
        coalesce(traffic.weight_nano_usd, 0) as weight_nano_usd,
        coalesce(traffic.weight_tokens, 0) as weight_tokens
    from scoped
    left join traffic
        on
            scoped.usage_date = traffic.usage_date
            and scoped.provider_name = traffic.provider_name
            and (scoped.scope_model_id is null or scoped.scope_model_id = traffic.model_id)
),

weighted as (
    select
        *,
        case when is_unpriced then weight_tokens else weight_nano_usd end as weight
    from shares
),

split as (
    {{ split_usd(
        'weighted',
        parent=['charge_key', 'usage_date'],
        weight='weight',
        tie='consumer_key'
    ) }}
)

select
    charge_key,
    usage_date,
    coalesce(team_id, account_team_id, 'unknown') as team_id,
    case when team_id is null then account_cost_center_id else cost_center_id end as cost_center_id,
    case when team_id is null then account_environment else environment end as environment,
    app_id as workload_id,
    consumer_id,
    coalesce(model_id, billed_model_id) as model_id,
    case
        when team_id is not null then 'token'
        when account_team_id is not null then 'direct'
        else 'unallocated'
    end as allocation_step,
    case
        when team_id is null and account_team_id is not null then 'account_owner_rule_without_gateway_traffic'
        when team_id is null then 'no_gateway_traffic'
        when is_unpriced then 'gateway_tokens'
        when scope_model_id is null then 'gateway_priced_tokens_of_provider'
        else 'gateway_priced_tokens_of_model'
    end as allocation_method,
    team_id is not null and (is_unpriced or scope_model_id is null or is_traffic_estimate) as is_estimate,
    case when team_id is null then account_owner_rule_id else owner_rule_id end as owner_rule_id,
    case when team_id is not null and not is_unpriced then price_set_id end as price_set_id,
    {{ costs('split_$ as $') }}
from split
