-- One row per charge group, ledger row and ledger row its dollars came by: how each cent went from bill to team.
-- Where a policy moves dollars, what leaves is an edge against the charge, and each row it reaches has an edge of
-- the row it left. Edges of a ledger row add up to it, edges of a charge to the charge: nothing is computed again.
{{ config(rebuild_touched('billing_period_start_date')) }}

with rows_of_periods as (
    select
        *,
        case when effective_cost_usd != 0 then effective_cost_usd else billed_cost_usd end as signed_usd
    from {{ ref('fct_cost_ledger') }}
    where billing_period_start_date in (
        select billing_period_start_date from {{ source('build', 'touched_periods') }}
    )
),

-- Of a credit, what leaves a team is positive: a row goes with its charge or against it.
ledger as (
    select
        *,
        case
            when sum(signed_usd) over (partition by charge_key, usage_date, posting_period_start_date) < 0
                then -signed_usd
            else signed_usd
        end as moved_usd
    from rows_of_periods
),

-- A policy that divides a bill makes rows of one sign; one that moves dollars takes what it gives.
moves as (
    select
        charge_key,
        usage_date,
        policy_id,
        posting_period_start_date
    from ledger
    where policy_id is not null
    group by charge_key, usage_date, policy_id, posting_period_start_date
    having {{ costs('coalesce(sum($), 0) = 0', joint='and') }} and min(moved_usd) < 0
),

directed as (
    select
        ledger.*,
        case
            when moves.charge_key is null or ledger.moved_usd = 0 then 'allocated'
            when ledger.moved_usd < 0 then 'left'
            else 'reached'
        end as edge_kind
    from ledger
    left join moves
        on
            ledger.charge_key = moves.charge_key
            and ledger.usage_date = moves.usage_date
            and ledger.policy_id = moves.policy_id
            and ledger.posting_period_start_date = moves.posting_period_start_date
),

paired as (
    select
        reached.*,
        sources.ledger_row_id as from_ledger_row_id,
        sources.team_id as from_team_id,
        abs({{ nano_usd('sources.moved_usd') }}) as weight
    from directed as reached
    inner join directed as sources
        on
            reached.charge_key = sources.charge_key
            and reached.usage_date = sources.usage_date
            and reached.policy_id = sources.policy_id
            and reached.posting_period_start_date = sources.posting_period_start_date
    where reached.edge_kind = 'reached' and sources.edge_kind = 'left'
),

split as (
    {{ split_usd('paired', parent=['ledger_row_id'], weight='weight', tie='from_ledger_row_id') }}
),

{%- set described = [
    'charge_key', 'ledger_row_id', 'edge_kind', 'usage_date', 'posting_period_start_date', 'team_id',
    'allocation_step', 'allocation_method', 'is_estimate', 'owner_rule_id', 'price_set_id', 'policy_id',
    'billing_period_start_date'
] %}

edges as (
    select
        {{ described | join(',\n        ') }},
        cast(null as string) as from_ledger_row_id,
        cast(null as string) as from_team_id,
        {{ costs() }}
    from directed
    where edge_kind != 'reached'
    union all
    select
        {{ described | join(',\n        ') }},
        from_ledger_row_id,
        from_team_id,
        {{ costs('split_$') }}
    from split
),

running as (
    select
        *,
        sum(effective_cost_usd) over (partition by charge_key) as charge_effective_usd,
        sum(billed_cost_usd) over (partition by charge_key) as charge_billed_usd,
        sum(effective_cost_usd) over edge_order as running_effective_usd,
        sum(billed_cost_usd) over edge_order as running_billed_usd
    from edges
    window edge_order as (
        partition by charge_key
        order by ledger_row_id, from_ledger_row_id nulls first
        rows between unbounded preceding and current row
    )
),

-- Shares are differences of a rounded running share, so that a charge's shares add up to exactly 1.
shared as (
    select
        *,
        round(case
            when charge_effective_usd != 0
                then cast(running_effective_usd as double) / cast(charge_effective_usd as double)
            when charge_billed_usd != 0
                then cast(running_billed_usd as double) / cast(charge_billed_usd as double)
        end, 9) as running_share
    from running
)

select
    {{ described | join(',\n    ') }},
    from_ledger_row_id,
    from_team_id,
    cast(
        cast(running_share as decimal(38, 9)) - coalesce(lag(cast(running_share as decimal(38, 9))) over (
            partition by charge_key
            order by ledger_row_id, from_ledger_row_id nulls first
        ), 0)
        as decimal(38, 9)
    ) as share_of_charge,
    {{ costs(usd('$') ~ ' as $') }}
from shared
