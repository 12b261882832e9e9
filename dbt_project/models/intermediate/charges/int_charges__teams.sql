-- One row per team that an owner rule names: its name and cost centre by the rule that started last.
select
    team_id,
    coalesce(team_name, team_id) as team_name,
    cost_center_id,
    min(valid_from_date) over (partition by team_id) as valid_from_date,
    max(valid_to_date) over (partition by team_id) as valid_to_date
from {{ ref('stg_config__owner_rules') }}
qualify row_number() over (partition by team_id order by valid_from_date desc nulls last, rule_id) = 1
