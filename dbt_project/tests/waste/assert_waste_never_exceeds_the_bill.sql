-- Waste is part of a bill: a node's findings of a day cost at most what the node did, and unused commitments add up to
-- their charges.
{{ config(meta={'dagster': {'ref': {'name': 'fct_waste'}}}) }}

with findings as (
    select
        usage_date,
        resource_id,
        sum(waste_cost_usd) as waste_cost_usd
    from {{ ref('fct_waste') }}
    where waste_kind != 'unused_commitment' and waste_cost_usd is not null
    group by usage_date, resource_id
),

nodes as (
    select
        usage_date,
        node_key,
        max(resource_id) as resource_id,
        sum(effective_cost_usd) as effective_cost_usd
    from {{ ref('int_charges__node_days') }}
    group by usage_date, node_key
),

commitments as (
    select
        (select coalesce(sum(effective_cost_usd), 0) from {{ ref('int_charges__unused_commitments') }}) as charged_usd,
        (
            select coalesce(sum(waste_cost_usd), 0) from {{ ref('fct_waste') }}
            where waste_kind = 'unused_commitment'
        ) as found_usd
)

select
    cast(findings.usage_date as string) as what,
    findings.waste_cost_usd as found_usd,
    nodes.effective_cost_usd as charged_usd
from findings
left join nodes
    on
        findings.usage_date = nodes.usage_date
        and findings.resource_id = nodes.resource_id
where nodes.effective_cost_usd is null or abs(findings.waste_cost_usd) > abs(nodes.effective_cost_usd)
union all
select
    'unused commitments',
    found_usd,
    charged_usd
from commitments
where found_usd != charged_usd
