-- Held and not held exclude each other: no pod means unallocated or unobserved, a pod never means either owner.
{{ config(meta={'dagster': {'ref': {'name': 'fct_gpu_state_hours'}}}) }}

select *
from {{ ref('fct_gpu_state_hours') }}
where
    (pod = '' and gpu_state = 'unallocated' and team_id != 'unallocated')
    or (pod = '' and gpu_state != 'unallocated' and (gpu_state != 'unknown' or team_id != 'unknown'))
    or (pod != '' and (gpu_state = 'unallocated' or team_id in ('', 'unallocated')))
