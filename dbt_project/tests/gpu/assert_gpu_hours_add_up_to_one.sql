-- Law 1 on the GPU-hour: the states of a physical GPU in an hour add up to exactly one GPU-hour, MIG or shared or
-- whole.
{{ config(meta={'dagster': {'ref': {'name': 'fct_gpu_state_hours'}}}) }}

select
    gpu_uuid,
    usage_hour_at,
    sum(gpu_hours) as gpu_hours
from {{ ref('fct_gpu_state_hours') }}
group by gpu_uuid, usage_hour_at
having sum(gpu_hours) is distinct from cast(1 as decimal(18, 9)) or min(gpu_hours) < 0
