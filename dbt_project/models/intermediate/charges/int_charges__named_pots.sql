-- One row per billing period, thing that charges name (a resource, a commitment, its purchase, a SKU of a sub account),
-- team and cost centre: what they bear of it, as a weight. All periods stay, so that what is credited or corrected in a
-- later one finds its charge.
-- What takes back is no charge to follow. A purchase names teams alone, and weighs what it billed: it has no effective
-- cost, its use has. An unused commitment is no use of a resource.
{{ config(rebuild_touched('billing_period_start_date', touched_by=['int_charges__bearers'])) }}

{%- set conditions = {
    'purchase': "charge_category = 'Purchase' and commitment_discount_id is not null and is_team",
    'resource': "cost_pool != 'unused_commitment' and resource_id is not null",
    'commitment': 'commitment_discount_id is not null',
    'sku': 'sku_id is not null',
} %}

with pots as (
    {%- for kind, condition in conditions.items() %}
    {{ 'union all' if not loop.first }}
    select
        {{ thing_key(kind) }} as thing_key,
        team_id,
        cost_center_id,
        {% if kind == 'purchase' -%}
        greatest(sum(billed_nano_usd), 1) as weight,
        {%- else -%}
        sum(effective_nano_usd) as weight,
        {%- endif %}
        billing_period_start_date
    from {{ ref('int_charges__bearers') }}
    where {{ condition }} and not is_reversal
    group by all
    {%- endfor %}
)

select
    concat_ws('|', thing_key, cast(billing_period_start_date as string)) as pot_key,
    thing_key,
    team_id,
    cost_center_id,
    weight,
    billing_period_start_date
from pots
where weight > 0
