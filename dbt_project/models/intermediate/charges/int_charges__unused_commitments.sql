-- One row per billing period, commitment, account, owner and day: what was committed to and not used.
{{ config(rebuild_touched('billing_period_start_date', touched_by=['int_charges__routed'])) }}

select
    usage_date,
    commitment_discount_id,
    provider_name,
    billing_account_id,
    coalesce(owner_team_id, 'unallocated') as team_id,
    {{ usd_sum('effective_cost_usd') }} as effective_cost_usd,
    billing_period_start_date
from {{ ref('int_charges__routed') }}
where commitment_discount_status = 'Unused'
group by all
