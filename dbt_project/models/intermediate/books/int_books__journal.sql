-- One row per journal line of a closed period, of the close in force.
{{ config(materialized='view') }}

select journal.*
from {{ ref('stg_books__journal') }} as journal
inner join {{ ref('int_books__closes') }} as closes on journal.close_id = closes.close_id
