-- One row per charge group, day and party (team, cost centre, environment) of usage that a commitment may cover, after
-- idle has moved: what the party is charged and what it would cost without commitments, with the policy of the day.
-- A family is the usage of one SKU in one billing account on one day. `uncommitted_nano_usd` is contracted cost where
-- the whole family states it, else list cost; a row that is charged something and states 0 states nothing. Null: the
-- saving is not known, and stays where the provider applied it.
with usage_charges as (
    select distinct
        charge_key,
        provider_name,
        billing_account_id,
        billing_period_start_date,
        service_name,
        sku_id,
        coalesce(commitment_discount_status, '') = 'Used' as is_covered
    from {{ ref('int_charges__routed') }}
    where charge_category = 'Usage' and coalesce(commitment_discount_status, 'Used') != 'Unused'
),

{%- set family = [
    'provider_name', 'billing_account_id', 'billing_period_start_date', 'service_name', 'sku_id', 'usage_date'
] %}

allocated as (
    select * from {{ ref('int_charges__allocated') }}
    union all
    select * from {{ ref('int_charges__idle_moves') }}
),

parties as (
    select
        {% for column in family -%}
        {{ 'allocated' if column == 'usage_date' else 'usage_charges' }}.{{ column }},
        {% endfor -%}
        allocated.charge_key,
        usage_charges.is_covered,
        allocated.team_id,
        allocated.cost_center_id,
        allocated.environment,
        max(allocated.is_estimate) as is_estimate,
        {{ costs(usd_sum('allocated.$') ~ ' as $') }}
    from allocated
    inner join usage_charges on allocated.charge_key = usage_charges.charge_key
    group by all
),

stated as (
    select
        *,
        {% for basis in ['contracted', 'list'] -%}
        case
            when effective_cost_usd > 0 and {{ basis }}_cost_usd <= 0 then null
            else {{ nano_usd(basis ~ '_cost_usd') }}
        end as {{ basis }}_nano_usd,
        {% endfor -%}
        max(is_covered) over (partition by {{ family | join(', ') }}) as has_coverage
    from parties
),

known as (
    select
        *,
        count(*) over (partition by {{ family | join(', ') }}) as row_count,
        count(contracted_nano_usd) over (partition by {{ family | join(', ') }}) as contracted_count,
        count(list_nano_usd) over (partition by {{ family | join(', ') }}) as listed_count
    from stated
    where has_coverage
),

weighed as (
    select
        {{ family | join(',\n        ') }},
        charge_key,
        is_covered,
        team_id,
        cost_center_id,
        environment,
        is_estimate,
        {{ nano_usd('effective_cost_usd') }} as effective_nano_usd,
        case
            when contracted_count = row_count then contracted_nano_usd
            when listed_count = row_count then list_nano_usd
        end as uncommitted_nano_usd,
        list_cost_usd is not null as is_listed,
        contracted_cost_usd is not null as is_contracted
    from known
)

{{ policy_for(
    'weighed',
    key=['charge_key', 'usage_date', 'team_id', 'cost_center_id', 'environment'],
    subject='commitment_benefit',
    pools=['provider_name']
) }}
