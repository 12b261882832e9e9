-- One row per posting period, team and line of its statement: what each team owes, to the cent.
-- Lines of a closed period are what the books froze; those of an open one are drawn up from the ledger, in cents that
-- add up from line to statement and from statements to the period's total (largest remainder, top down).
with open_ledger as (
    select ledger.*
    from {{ ref('fct_cost_ledger') }} as ledger
    left join {{ ref('int_books__closes') }} as closes
        on ledger.posting_period_start_date = closes.period_start_date
    where closes.period_start_date is null
),

team_periods as (
    select distinct
        open_ledger.posting_period_start_date,
        open_ledger.team_id,
        -- What nobody owns is nobody's to pay: it stays with the platform.
        teams.is_named_owner
    from open_ledger
    left join {{ ref('dim_teams') }} as teams on open_ledger.team_id = teams.team_id
),

modes as (
    select
        team_periods.posting_period_start_date,
        team_periods.team_id,
        case when team_periods.is_named_owner then 'showback' else coalesce(modes.charge_mode, 'showback') end
            as charge_mode
    from team_periods
    left join {{ ref('int_books__charge_modes') }} as modes
        on
            modes.team_id in (team_periods.team_id, '*')
            and {{ is_valid_on('modes', 'team_periods.posting_period_start_date') }}
    qualify row_number() over (
        partition by team_periods.posting_period_start_date, team_periods.team_id
        order by modes.generality nulls last
    ) = 1
),

lines as (
    select
        open_ledger.posting_period_start_date,
        open_ledger.team_id,
        case when open_ledger.posting_cause is null then 'charge' else 'correction' end as line_kind,
        open_ledger.billing_period_start_date,
        open_ledger.posting_cause,
        open_ledger.provider_name,
        open_ledger.cost_pool,
        open_ledger.cost_center_id,
        modes.charge_mode,
        {{ usd_sum('open_ledger.effective_cost_usd') }} as effective_cost_usd,
        cast(coalesce(sum(open_ledger.effective_cost_usd) filter (where open_ledger.is_estimate), 0) as decimal(38, 9))
            as estimated_cost_usd
    from open_ledger
    inner join modes
        on
            open_ledger.posting_period_start_date = modes.posting_period_start_date
            and open_ledger.team_id = modes.team_id
    group by all
),

numbered as (
    select
        *,
        row_number() over (
            partition by posting_period_start_date, team_id
            order by
                line_kind, billing_period_start_date desc nulls last, posting_cause nulls first, provider_name,
                cost_pool, cost_center_id nulls first
        ) as line_number,
        sum(effective_cost_usd) over (partition by posting_period_start_date, team_id) as team_cost_usd,
        sum(effective_cost_usd) over (partition by posting_period_start_date) as period_cost_usd
    from lines
),

teams as (
    select distinct
        posting_period_start_date,
        team_id,
        team_cost_usd,
        {{ round_cents('period_cost_usd') }} as period_cents
    from numbered
),

footed_teams as (
    {{ foot_to_cents(
        'teams', parent=['posting_period_start_date'], amount='team_cost_usd', total_cents='period_cents', tie='team_id'
    ) }}
),

statements as (
    select
        numbered.*,
        footed_teams.footed_cents as team_cents
    from numbered
    inner join footed_teams
        on
            numbered.posting_period_start_date = footed_teams.posting_period_start_date
            and numbered.team_id = footed_teams.team_id
),

footed as (
    {{ foot_to_cents(
        'statements',
        parent=['posting_period_start_date', 'team_id'],
        amount='effective_cost_usd',
        total_cents='team_cents',
        tie='line_number'
    ) }}
)

{%- set described = [
    'posting_period_start_date', 'team_id', 'line_number', 'line_kind', 'billing_period_start_date', 'posting_cause',
    'provider_name', 'cost_pool', 'cost_center_id', 'charge_mode'
] %}

select
    cast(null as string) as statement_number,
    {{ described | join(',\n    ') }},
    effective_cost_usd,
    estimated_cost_usd,
    {{ from_cents('footed_cents') }} as statement_usd
from footed
union all
select
    statement_number,
    {{ described | join(',\n    ') }},
    effective_cost_usd,
    estimated_cost_usd,
    statement_usd
from {{ ref('int_books__issued_lines') }}
where is_in_force
