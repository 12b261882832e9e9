-- Law 3 on statements: lines add up to their statement and statements to the period, in cents, and the period's cents
-- are its ledger rounded once. In the journal, debits equal credits and are the same cents.
{{ config(meta={'dagster': {'ref': {'name': 'fct_statement_lines'}}}) }}
with ledger as (
    select
        posting_period_start_date,
        round(sum(effective_cost_usd), 2) as period_usd
    from {{ ref('fct_cost_ledger') }}
    group by 1
),

statements as (
    select
        posting_period_start_date,
        sum(statement_usd) as statements_usd,
        max(abs(statement_usd - effective_cost_usd)) as largest_rounding_usd
    from {{ ref('fct_statement_lines') }}
    group by 1
),

journal as (
    select
        posting_period_start_date,
        sum(debit_usd) - sum(credit_usd) as unbalanced_usd,
        sum(debit_usd - credit_usd) filter (where entry_kind = 'clearing') as cleared_usd
    from {{ ref('fct_gl_journal') }}
    group by 1
)

select
    ledger.posting_period_start_date,
    ledger.period_usd,
    statements.statements_usd,
    journal.unbalanced_usd
from ledger
full outer join statements on ledger.posting_period_start_date = statements.posting_period_start_date
left join journal on ledger.posting_period_start_date = journal.posting_period_start_date
where
    ledger.period_usd is distinct from statements.statements_usd
    or statements.largest_rounding_usd >= 0.01
    or coalesce(journal.unbalanced_usd, 0) != 0
    or coalesce(journal.cleared_usd, 0) != -statements.statements_usd
