-- One row per charge group, giver and taker of one family of usage: effective cost that has to move so that everybody
-- pays the same part of what its usage would cost without commitments. Who was charged more gives it, out of its own
-- charges, to who was charged less.
{%- set family = [
    'policy_id', 'provider_name', 'billing_account_id', 'billing_period_start_date', 'service_name', 'sku_id',
    'usage_date'
] %}
{%- set party = ['team_id', 'cost_center_id', 'environment'] %}
{%- set charge = ['charge_key', 'is_estimate', 'is_listed', 'is_contracted'] %}

with families as (
    select *
    from {{ ref('int_charges__commitment_families') }}
    where policy_method = 'pool_rate' and uncommitted_nano_usd is not null
),

parties as (
    select
        {{ (family + party) | join(',\n        ') }},
        sum(effective_nano_usd) as effective_nano_usd,
        greatest(sum(uncommitted_nano_usd), 0) as uncommitted_nano_usd
    from families
    group by {{ (family + party) | join(', ') }}
),

totals as (
    select
        *,
        {{ from_nano('sum(effective_nano_usd) over (partition by ' ~ family | join(', ') ~ ')') }} as family_cost_usd
    from parties
    qualify sum(uncommitted_nano_usd) over (partition by {{ family | join(', ') }}) > 0
),

pooled as (
    {{ split_usd(
        'totals',
        parent=family,
        weight='uncommitted_nano_usd',
        tie='team_id, cost_center_id nulls last, environment nulls last',
        amounts=['family_cost_usd']
    ) }}
),

balances as (
    select
        {{ (family + party) | join(',\n        ') }},
        effective_nano_usd - {{ nano_usd('split_family_cost_usd') }} as surplus_nano_usd
    from pooled
),

givers as (
    select
        families.*,
        greatest(families.effective_nano_usd, 0) as giving_weight,
        {{ from_nano('balances.surplus_nano_usd') }} as surplus_usd
    from families
    inner join balances
        on
            {{ same(family + party, 'families', 'balances') }}
    where balances.surplus_nano_usd > 0
),

given as (
    {{ split_usd('givers', parent=family + party, weight='giving_weight', tie='charge_key', amounts=['surplus_usd']) }}
),

gifts as (
    select
        {% for column in family + party + charge -%}
        given.{{ column }},
        {% endfor -%}
        given.split_surplus_usd as gift_usd,
        balances.team_id as taker_team_id,
        balances.cost_center_id as taker_cost_center_id,
        balances.environment as taker_environment,
        -balances.surplus_nano_usd as taking_weight
    from given
    inner join balances
        on
            {{ same(family, 'given', 'balances') }}
    where balances.surplus_nano_usd < 0 and given.split_surplus_usd != 0
),

split as (
    {{ split_usd(
        'gifts',
        parent=['charge_key', 'usage_date'] + party,
        weight='taking_weight',
        tie='taker_team_id, taker_cost_center_id nulls last, taker_environment nulls last',
        amounts=['gift_usd']
    ) }}
)

select
    charge_key,
    usage_date,
    {{ party | join(',\n    ') }},
    taker_team_id,
    taker_cost_center_id,
    taker_environment,
    is_estimate,
    is_listed,
    is_contracted,
    policy_id,
    split_gift_usd as gift_usd
from split
