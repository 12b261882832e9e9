-- Law 1 in the lake: the rows of each object are as many as landing counted. Of bills those of a period: the same rows
-- delivered again keep the file that they came in first.
{{ config(meta={'dagster': {'ref': {'name': 'fct_cost_ledger'}}}) }}
-- Dagster shows it on the ledger. depends_on: {{ ref('fct_cost_ledger') }}

with totals as (
    select
        *,
        {{ is_bill_table('table_name') }} as is_bill
    from {{ source('raw', 'control_totals') }}
    where measure = 'row_count'
),

counted as (
    select
        table_name,
        case when not is_bill then source_name end as source_name,
        case when not is_bill then object_uri end as object_uri,
        partition_date,
        total
    from totals
    where
        (is_bill and {{ is_rebuilt('partition_date', key='billing_period_start_date') }})
        or (not is_bill and {{ is_rebuilt('partition_date') }})
),

standing as (
    {{ standing_row_counts() }}
),

sides as (
    select
        table_name,
        source_name,
        object_uri,
        partition_date,
        total as counted_rows,
        0 as standing_rows
    from counted
    union all
    select
        table_name,
        source_name,
        object_uri,
        partition_date,
        0 as counted_rows,
        row_count as standing_rows
    from standing
)

select
    table_name,
    source_name,
    object_uri,
    partition_date,
    sum(counted_rows) as counted_rows,
    sum(standing_rows) as standing_rows
from sides
group by table_name, source_name, object_uri, partition_date
having sum(counted_rows) != sum(standing_rows)
