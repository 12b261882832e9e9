-- One row per billing period, thing nobody owns, and named owner it lies with: its dollars, who it likely is, why, and
-- the line for owners.csv that gives it to them. Things that one rule would know have one suggestion and one line.
{{ config(rebuild_touched('billing_period_start_date')) }}

with unowned as (
    select
        billing_period_start_date,
        charge_key,
        team_id,
        workload_id,
        consumer_id,
        allocation_step,
        provider_name,
        billing_account_id,
        coalesce(resource_id, service_name, cost_pool) as thing_id,
        {{ usd_sum('effective_cost_usd') }} as effective_cost_usd
    from {{ ref('fct_cost_ledger') }}
    where
        team_id in ('untagged', 'unknown')
        and billing_period_start_date in (
            select billing_period_start_date from {{ source('build', 'touched_periods') }}
        )
    group by all
),

gaps as (
    select
        unowned.billing_period_start_date,
        unowned.provider_name,
        coalesce(subjects.account_id, unowned.billing_account_id) as account_id,
        coalesce(subjects.thing_id, unowned.thing_id) as thing_id,
        coalesce(subjects.match_on, 'account') as match_on,
        coalesce(subjects.match_key, '') as match_key,
        nullif(subjects.match_value, '') as match_value,
        unowned.team_id,
        sum(unowned.effective_cost_usd) as effective_cost_usd
    from unowned
    -- What a closed period booked and no bill says any more is known by nothing but its account.
    left join {{ ref('int_charges__subjects') }} as subjects
        on
            unowned.charge_key = subjects.charge_key
            and unowned.team_id = subjects.team_id
            and unowned.allocation_step = subjects.allocation_step
            and unowned.workload_id is not distinct from subjects.workload_id
            and unowned.consumer_id is not distinct from subjects.consumer_id
    group by all
)

select
    gaps.billing_period_start_date,
    gaps.provider_name,
    gaps.account_id,
    gaps.thing_id,
    gaps.team_id,
    gaps.match_on,
    gaps.match_key,
    gaps.match_value,
    cast(gaps.effective_cost_usd as decimal(38, 9)) as effective_cost_usd,
    cast(sum(gaps.effective_cost_usd) over (
        partition by gaps.billing_period_start_date, gaps.match_on, gaps.match_key, gaps.match_value
    ) as decimal(38, 9)) as rule_effective_cost_usd,
    suggested.suggested_team_id,
    suggested.evidence_kind,
    suggested.evidence,
    suggested.confidence_share,
    suggested.owners_line
from gaps
left join {{ ref('int_charges__suggested_owners') }} as suggested
    on
        gaps.billing_period_start_date = suggested.billing_period_start_date
        and gaps.match_on = suggested.match_on
        and gaps.match_key = suggested.match_key
        and gaps.match_value = suggested.match_value
