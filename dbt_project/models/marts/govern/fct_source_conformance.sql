-- One row per source, provider, account, billing period and check of its charge lines, or refused object and reason:
-- how many lines fail it. What a data owner sends to who delivers the bill.
with checks as (
    select * from {{ ref('int_charges__conformance') }}
),

-- The score: of all scored checks of all lines of a source, the share that holds.
scores as (
    select
        source_name,
        cast(1 - cast(sum(failed_line_count) as decimal(38, 6)) / sum(line_count) as decimal(9, 6))
            as source_conformance_share
    from checks
    where is_scored
    group by source_name
),

landed as (
    select
        checks.source_name,
        cast(null as string) as object_uri,
        checks.provider_name,
        checks.billing_account_id,
        checks.billing_period_start_date,
        checks.check_kind,
        checks.check_code,
        checks.focus_column as field_name,
        checks.check_rule,
        checks.is_scored,
        checks.line_count,
        checks.failed_line_count,
        scores.source_conformance_share
    from checks
    inner join scores on checks.source_name = scores.source_name
),

refused as (
    select
        refusals.source_name,
        refusals.object_uri,
        null as provider_name,
        null as billing_account_id,
        null as billing_period_start_date,
        'refused' as check_kind,
        concat('refused_', refusals.refused_scope) as check_code,
        refusals.field_name,
        refusals.refusal_reason as check_rule,
        false as is_scored,
        null as line_count,
        refusals.refusal_count as failed_line_count,
        scores.source_conformance_share
    from {{ ref('int_charges__refusals') }} as refusals
    left join scores on refusals.source_name = scores.source_name
)

select
    source_name,
    object_uri,
    provider_name,
    billing_account_id,
    cast(billing_period_start_date as date) as billing_period_start_date,
    check_kind,
    check_code,
    field_name,
    check_rule,
    is_scored,
    cast(line_count as bigint) as line_count,
    cast(failed_line_count as bigint) as failed_line_count,
    cast(cast(failed_line_count as decimal(38, 6)) / line_count as decimal(9, 6)) as failed_share,
    source_conformance_share
from (select * from landed union all select * from refused) as conformance
