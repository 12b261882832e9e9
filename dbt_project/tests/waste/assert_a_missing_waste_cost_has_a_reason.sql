-- Missing is never zero: a finding has a cost or says why not.
{{ config(meta={'dagster': {'ref': {'name': 'fct_waste'}}}) }}

select *
from {{ ref('fct_waste') }}
where (waste_cost_usd is null) != (missing_reason is not null)
