-- One row per posting period and journal line: how the statements are booked. Each team's cost is a debit, on its own
-- account where it is charged back and on the platform's where it is shown only; the other side is each provider's
-- clearing account. Lines of a closed period are what the books froze.
with statements as (
    select lines.*
    from {{ ref('fct_statement_lines') }} as lines
    left join {{ ref('int_books__closes') }} as closes
        on lines.posting_period_start_date = closes.period_start_date
    where closes.period_start_date is null
),

entries as (
    select
        posting_period_start_date,
        case when charge_mode = 'chargeback' then 'expense' else 'central' end as entry_kind,
        cost_pool,
        team_id,
        cost_center_id,
        cast(null as string) as provider_name,
        sum(statement_usd) as entry_usd
    from statements
    group by all
    union all
    select
        posting_period_start_date,
        'clearing',
        null,
        null,
        null,
        provider_name,
        -sum(statement_usd)
    from statements
    group by all
),

accounts as (
    select
        entries.*,
        accounts.account_code,
        accounts.account_name
    from entries
    left join {{ ref('int_books__accounts') }} as accounts
        on
            entries.entry_kind = accounts.entry_kind
            and accounts.cost_pool in ('*', coalesce(entries.cost_pool, '*'))
            and accounts.team_id in ('*', coalesce(entries.team_id, entries.provider_name))
            and {{ is_valid_on('accounts', 'entries.posting_period_start_date') }}
    qualify row_number() over (
        partition by
            entries.posting_period_start_date, entries.entry_kind, entries.cost_pool, entries.team_id,
            entries.cost_center_id, entries.provider_name
        order by accounts.generality nulls last
    ) = 1
),

-- An account is booked once a team and cost centre, whatever pools it gathers.
journal as (
    select
        posting_period_start_date,
        entry_kind,
        account_code,
        account_name,
        team_id,
        cost_center_id,
        provider_name,
        sum(entry_usd) as entry_usd
    from accounts
    group by all
)

select
    posting_period_start_date,
    row_number() over (
        partition by posting_period_start_date
        order by
            entry_kind = 'clearing' nulls last, account_code nulls last, team_id nulls last,
            cost_center_id nulls first, provider_name nulls first, entry_kind
    ) as line_number,
    entry_kind,
    account_code,
    account_name,
    team_id,
    cost_center_id,
    provider_name,
    cast(greatest(entry_usd, 0) as decimal(18, 2)) as debit_usd,
    cast(greatest(-entry_usd, 0) as decimal(18, 2)) as credit_usd,
    concat(
        case entry_kind
            when 'expense' then 'Chargeback '
            when 'central' then 'Kept by the platform '
            else 'Clearing '
        end,
        coalesce(team_id, provider_name),
        case when account_code is null then ' (no account in gl_accounts.csv)' else '' end
    ) as description
from journal
where entry_usd != 0
union all
select
    posting_period_start_date,
    line_number,
    entry_kind,
    account_code,
    account_name,
    team_id,
    cost_center_id,
    provider_name,
    debit_usd,
    credit_usd,
    line_text
from {{ ref('int_books__journal') }}
