-- One row per posting period and team whose charge mode a policy sets.
select
    posting_period_start_date,
    team_id,
    'chargeback' as method
from {{ ref('stg_books__statement_lines') }}
where false
