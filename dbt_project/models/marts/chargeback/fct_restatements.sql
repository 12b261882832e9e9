-- One row per issued statement, posting period and cause: what changed since it was sent. Corrections are what later
-- periods posted for the statement's month; a statement whose close was reopened differs by `reopened`.
with issued as (
    select
        statement_number,
        posting_period_start_date as statement_period_start_date,
        team_id,
        is_in_force,
        cast(sum(effective_cost_usd) as decimal(38, 9)) as statement_cost_usd
    from {{ ref('int_books__issued_lines') }}
    group by all
),

corrections as (
    select
        cast(date_trunc('month', billing_period_start_date) as date) as statement_period_start_date,
        posting_period_start_date,
        team_id,
        posting_cause,
        {{ usd_sum('effective_cost_usd') }} as delta_cost_usd
    from {{ ref('fct_cost_ledger') }}
    where posting_cause is not null
    group by all
),

now as (
    select
        posting_period_start_date,
        team_id,
        {{ usd_sum('effective_cost_usd') }} as effective_cost_usd
    from {{ ref('fct_cost_ledger') }}
    group by all
),

restated as (
    select
        issued.statement_number,
        corrections.statement_period_start_date,
        corrections.team_id,
        corrections.posting_period_start_date,
        corrections.posting_cause as restatement_cause,
        issued.statement_cost_usd,
        corrections.delta_cost_usd
    from corrections
    left join issued
        on
            corrections.statement_period_start_date = issued.statement_period_start_date
            and corrections.team_id = issued.team_id
            and issued.is_in_force
    union all
    select
        issued.statement_number,
        issued.statement_period_start_date,
        issued.team_id,
        issued.statement_period_start_date,
        'reopened',
        issued.statement_cost_usd,
        cast(coalesce(now.effective_cost_usd, 0) - issued.statement_cost_usd as decimal(38, 9))
    from issued
    left join now
        on
            issued.statement_period_start_date = now.posting_period_start_date
            and issued.team_id = now.team_id
    where
        not issued.is_in_force
        and coalesce(now.effective_cost_usd, 0) != issued.statement_cost_usd
)

select
    statement_number,
    statement_period_start_date,
    team_id,
    posting_period_start_date,
    restatement_cause,
    statement_cost_usd,
    delta_cost_usd,
    abs(sum(delta_cost_usd) over (partition by statement_number, statement_period_start_date, team_id)) >= greatest(
        {{ policy_number('restatement_materiality_usd', 1) }},
        abs(coalesce(statement_cost_usd, 0)) * {{ policy_number('restatement_materiality_share', 0.001) }}
    ) as is_material
from restated
where delta_cost_usd != 0
