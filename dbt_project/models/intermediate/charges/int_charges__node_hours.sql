-- One row per charge group of a cluster node, charge interval and clock hour: the bill of a node-hour.
-- A charge of several hours is split over them by milliseconds, so that hours add up to the charge.
with node_charges as (
    select
        charge_key,
        charge_start_at,
        charge_end_at,
        billing_period_start_date,
        node_key,
        owner_team_id as account_team_id,
        owner_cost_center_id as account_cost_center_id,
        owner_environment as account_environment,
        owner_rule_id as account_owner_rule_id,
        {{ costs() }}
    from {{ ref('int_charges__routed') }}
    where route = 'node'
),

hours as (
    select
        *,
        {{ explode_hours('charge_start_at', 'charge_end_at') }} as usage_hour_at
    from node_charges
),

weighted as (
    select
        *,
        {{ milliseconds_between(
            'greatest(charge_start_at, usage_hour_at)',
            'least(charge_end_at, ' ~ add_hours('usage_hour_at', 1) ~ ')'
        ) }} as hour_milliseconds
    from hours
),

split as (
    {{ split_usd(
        'weighted',
        parent=['charge_key', 'charge_start_at', 'charge_end_at'],
        weight='hour_milliseconds',
        tie='usage_hour_at'
    ) }}
)

select
    charge_key,
    charge_start_at,
    charge_end_at,
    usage_hour_at,
    billing_period_start_date,
    node_key,
    account_team_id,
    account_cost_center_id,
    account_environment,
    account_owner_rule_id,
    {{ costs('split_$ as $') }}
from split
