-- One row per team that an owner rule, a policy, a quota or an adjustment names, or that a closed statement charged:
-- its name and cost centre by the rule that started last. A team whose rules are gone stays known by what it was
-- charged.
with ruled as (
    select
        team_id,
        coalesce(team_name, team_id) as team_name,
        cost_center_id,
        min(valid_from_date) over (partition by team_id) as valid_from_date,
        max(valid_to_date) over (partition by team_id) as valid_to_date
    from {{ ref('stg_config__owner_rules') }}
    qualify row_number() over (partition by team_id order by valid_from_date desc nulls last, rule_id) = 1
),

paid as (
    select
        team_id,
        cost_center_id,
        posting_period_start_date as month_start_date
    from {{ ref('stg_books__statement_lines') }}
    union all
    select
        team_id,
        cost_center_id,
        cast(date_trunc('month', usage_date) as date)
    from {{ ref('stg_config__adjustments') }}
    where team_id not in ('unallocated', 'shared', 'untagged', 'unknown')
),

charged as (
    select
        team_id,
        max(cost_center_id) as cost_center_id,
        min(month_start_date) as valid_from_date,
        max({{ next_month('month_start_date') }}) as valid_to_date
    from paid
    where team_id not in (select team_id from ruled)
    group by team_id
),

-- A policy or a quota may name a team that no rule knows; a test tells of it.
mentioned as (
    select
        recipient_team_id as team_id,
        valid_from_date,
        valid_to_date
    from {{ ref('stg_config__allocation_policies') }}
    union all
    select
        team_id,
        valid_from_date,
        valid_to_date
    from {{ ref('stg_config__quotas') }}
),

named as (
    select
        team_id,
        min(valid_from_date) as valid_from_date,
        max(valid_to_date) as valid_to_date
    from mentioned
    where
        team_id not in (select team_id from ruled)
        and team_id not in (select team_id from charged)
    group by team_id
)

select * from ruled
union all
select
    team_id,
    team_id,
    cast(null as string),
    valid_from_date,
    valid_to_date
from named
union all
select
    team_id,
    team_id,
    cost_center_id,
    valid_from_date,
    valid_to_date
from charged
