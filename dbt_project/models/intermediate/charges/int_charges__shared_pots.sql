-- One row per pot of charges that shared cost may follow, team and cost centre: what is charged to them, as a weight
-- (effective nano-USD of the billing period after idle and commitments have moved; a negative net weighs nothing).
-- A tax follows charges whoever bears them; all else is borne by teams, not by the four named owners.
{%- set account = ['provider_name', 'billing_account_id'] %}
{%- set kinds = {
    'invoice': (account + ['invoice_id'], 'invoice_id is not null'),
    'account_lines': (account, 'true'),
    'account': (account, 'is_team'),
    'provider': (['provider_name'], 'is_team'),
    'all': ([], 'is_team'),
} %}

with pots as (
    {%- for kind, (columns, condition) in kinds.items() %}
    select
        {{ pot_key(kind, columns) }} as pot_key,
        team_id,
        cost_center_id,
        greatest(sum(effective_nano_usd), 0) as weight
    from {{ ref('int_charges__bearers') }}
    where {{ condition }}
    group by pot_key, team_id, cost_center_id
    union all
    {%- endfor %}
    select
        {{ pot_key('teams', ['provider_name']) }},
        team_id,
        max(cost_center_id),
        1
    from {{ ref('int_charges__bearers') }}
    where is_team
    group by 1, 2
)

select
    pot_key,
    team_id,
    cost_center_id,
    weight
from pots
qualify sum(weight) over (partition by pot_key) > 0
