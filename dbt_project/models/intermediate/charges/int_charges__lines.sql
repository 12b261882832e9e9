-- One row per charge line of every source of charges, in the currency it was billed in.
{{ config(materialized='view') }}

select * from {{ ref('stg_focus__charges') }}
