-- One row per charge group, team and cost centre of the billing periods being built: what they bear of it after idle
-- and commitments have moved, before shared cost does. Tax, credits and rounding are no charges that others follow.
with borne as (
    {%- for model in ['int_charges__allocated', 'int_charges__idle_moves', 'int_charges__commitment_moves'] %}
    {{ 'union all' if not loop.first }}
    select
        charge_key,
        team_id,
        cost_center_id,
        billed_cost_usd,
        effective_cost_usd
    from {{ ref(model) }}
    {%- endfor %}
)

select
    borne.charge_key,
    dimensions.billing_period_start_date,
    dimensions.provider_name,
    dimensions.billing_account_id,
    coalesce(dimensions.sub_account_id, dimensions.billing_account_id) as sub_account_id,
    dimensions.invoice_id,
    dimensions.resource_id,
    dimensions.sku_id,
    dimensions.commitment_discount_id,
    dimensions.charge_category,
    dimensions.cost_pool,
    dimensions.is_reversal,
    borne.team_id,
    borne.cost_center_id,
    borne.team_id not in ({{ named_owners() }}) as is_team,
    sum({{ nano_usd('borne.billed_cost_usd') }}) as billed_nano_usd,
    sum({{ nano_usd('borne.effective_cost_usd') }}) as effective_nano_usd
from borne
inner join {{ ref('int_charges__dimensions') }} as dimensions on borne.charge_key = dimensions.charge_key
where dimensions.cost_pool not in ('tax', 'credit', 'rounding')
group by all
