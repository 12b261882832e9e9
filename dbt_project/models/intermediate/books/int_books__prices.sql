-- One row per price set of a ledger row that a close in force booked, and price in it.
select distinct
    {{ price_columns() }}
from {{ ref('stg_books__prices') }}
where close_id in (select close_id from {{ ref('int_books__closes') }})
