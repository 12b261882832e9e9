-- Law 8: time is half-open - every node-hour overlaps its charge's [start, end), none begins at its end.
{{ config(meta={'dagster': {'ref': {'name': 'int_charges__node_hours'}}}) }}
select *
from {{ ref('int_charges__node_hours') }}
where
    usage_hour_at >= charge_end_at
    or {{ add_hours('usage_hour_at', 1) }} <= charge_start_at
