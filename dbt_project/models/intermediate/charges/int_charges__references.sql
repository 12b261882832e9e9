-- One row per charge group and anchor date that takes back, corrects or leaves unused what another charge named: the
-- pot of that charge's owners (decision 21). The anchor is the day of a row from before its billing period, else the
-- period's first day.
-- A resource is named before a commitment, a commitment before a SKU, which names a charge for corrections alone. Of a
-- thing's billing periods, none of them later than the row's own, the last one up to the anchor speaks, else the next.
with anchored as (
    select distinct
        dimensions.charge_key,
        dimensions.provider_name,
        dimensions.billing_account_id,
        coalesce(dimensions.sub_account_id, dimensions.billing_account_id) as sub_account_id,
        dimensions.resource_id,
        dimensions.sku_id,
        dimensions.commitment_discount_id,
        dimensions.charge_category,
        dimensions.charge_class,
        dimensions.cost_pool,
        dimensions.billing_period_start_date,
        least(allocated.usage_date, dimensions.billing_period_start_date) as anchor_date
    from {{ ref('int_charges__allocated') }} as allocated
    inner join {{ ref('int_charges__dimensions') }} as dimensions on allocated.charge_key = dimensions.charge_key
    where dimensions.is_reversal or dimensions.cost_pool = 'unused_commitment'
),

{%- set conditions = {
    'purchase': "commitment_discount_id is not null and (cost_pool = 'unused_commitment' or charge_category = 'Purchase')",
    'resource': "resource_id is not null and cost_pool != 'unused_commitment'",
    'commitment': "commitment_discount_id is not null and cost_pool != 'unused_commitment'",
    'sku': "sku_id is not null and cost_pool != 'unused_commitment' and charge_class = 'Correction'",
} %}

named as (
    {%- for kind, condition in conditions.items() %}
    {{ 'union all' if not loop.first }}
    select
        charge_key,
        anchor_date,
        cost_pool,
        billing_period_start_date,
        {{ loop.index }} as kind_rank,
        {{ thing_key(kind) }} as thing_key
    from anchored
    where {{ condition }}
    {%- endfor %}
),

pots as (
    select
        thing_key,
        pot_key,
        billing_period_start_date,
        case when min(team_id) = max(team_id) then min(team_id) end as sole_team_id
    from {{ ref('int_charges__named_pots') }}
    group by thing_key, pot_key, billing_period_start_date
),

found as (
    select
        named.*,
        pots.pot_key,
        pots.sole_team_id,
        pots.billing_period_start_date as pot_period_start_date,
        case when pots.billing_period_start_date <= named.anchor_date then pots.billing_period_start_date end
            as reached_date
    from named
    inner join pots
        on
            named.thing_key = pots.thing_key
            and pots.billing_period_start_date <= named.billing_period_start_date
)

select
    charge_key,
    anchor_date,
    pot_key,
    sole_team_id,
    concat(
        case cost_pool
            when 'unused_commitment' then 'unused_commitment_to_'
            when 'credit' then 'credit_to_its_'
            else 'correction_to_its_'
        end,
        case when pot_period_start_date < billing_period_start_date then 'earlier_' else '' end,
        case when cost_pool = 'unused_commitment' then 'buyer' else 'charge' end
    ) as named_method
from found
qualify row_number() over (
    partition by charge_key, anchor_date
    order by kind_rank, reached_date desc nulls last, pot_period_start_date nulls last, pot_key
) = 1
