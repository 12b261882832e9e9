-- One row per pot of charges that shared cost may follow, team and cost centre: what is charged to them, as a weight
-- (effective nano-USD of the billing period after idle and commitments have moved; a negative net weighs nothing).
-- A tax or a credit follows charges whoever bears them; all else is borne by teams, not by the four named owners.
with charged as (
    select
        charge_key,
        team_id,
        cost_center_id,
        billed_cost_usd,
        effective_cost_usd
    from {{ ref('int_charges__allocated') }}
    {%- for moves in ['int_charges__idle_moves', 'int_charges__commitment_moves'] %}
    union all
    select
        charge_key,
        team_id,
        cost_center_id,
        billed_cost_usd,
        effective_cost_usd
    from {{ ref(moves) }}
    {%- endfor %}
),

described as (
    select
        dimensions.billing_period_start_date,
        dimensions.provider_name,
        dimensions.billing_account_id,
        dimensions.invoice_id,
        dimensions.resource_id,
        dimensions.commitment_discount_id,
        dimensions.charge_category,
        charged.team_id,
        charged.cost_center_id,
        charged.team_id not in ({{ named_owners() }}) as is_team,
        sum({{ nano_usd('charged.billed_cost_usd') }}) as billed_nano_usd,
        sum({{ nano_usd('charged.effective_cost_usd') }}) as effective_nano_usd
    from charged
    inner join {{ ref('int_charges__dimensions') }} as dimensions using (charge_key)
    where dimensions.cost_pool not in ('tax', 'credit', 'rounding')
    group by 1, 2, 3, 4, 5, 6, 7, 8, 9, 10
),

{%- set account = ['provider_name', 'billing_account_id'] %}
{%- set kinds = {
    'invoice': (account + ['invoice_id'], 'invoice_id is not null'),
    'account_lines': (account, 'true'),
    'resource': (account + ['resource_id'], 'resource_id is not null'),
    'commitment': (account + ['commitment_discount_id'], 'commitment_discount_id is not null'),
    'purchase': (
        account + ['commitment_discount_id'],
        "commitment_discount_id is not null and charge_category = 'Purchase' and is_team",
    ),
    'account': (account, 'is_team'),
    'provider': (['provider_name'], 'is_team'),
    'all': ([], 'is_team'),
} %}

pots as (
    {%- for kind, (columns, condition) in kinds.items() %}
    select
        {{ pot_key(kind, columns) }} as pot_key,
        team_id,
        cost_center_id,
        {% if kind == 'purchase' -%}
        -- A purchase has no effective cost: its use has.
        greatest(sum(billed_nano_usd), 1) as weight
        {%- else -%}
        greatest(sum(effective_nano_usd), 0) as weight
        {%- endif %}
    from described
    where {{ condition }}
    group by pot_key, team_id, cost_center_id
    union all
    {%- endfor %}
    select
        {{ pot_key('teams', ['provider_name']) }},
        team_id,
        max(cost_center_id),
        1
    from described
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
