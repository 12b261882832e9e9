-- The months of a machine's life add up to what it cost less its residual, exactly.
{{ config(meta={'dagster': {'ref': {'name': 'int_charges__depreciation'}}}) }}
select
    register.asset_id,
    register.purchase_cost_usd - register.residual_usd as depreciable_cost_usd,
    sum(depreciation.depreciation_usd) as depreciation_usd
from (
    select distinct
        asset_id,
        purchase_cost_usd,
        residual_usd
    from {{ ref('stg_config__owned_hardware') }}
) as register
left join {{ ref('int_charges__depreciation') }} as depreciation on register.asset_id = depreciation.asset_id
group by 1, 2
having coalesce(sum(depreciation.depreciation_usd), 0) != register.purchase_cost_usd - register.residual_usd
