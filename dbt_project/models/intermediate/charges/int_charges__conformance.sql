-- One row per source, provider, account, billing period and check: the lines that were read and those that fail it.
{{ config(rebuild_touched('billing_period_start_date')) }}

{%- set checks = [] %}
{%- for rule in focus_rules() if rule.code %}
{%- do checks.append({
    'code': rule.code, 'kind': rule.kind, 'column': rule.column, 'rule': rule.rule, 'is_scored': true,
    'count': 'sum(case when breaks_' ~ rule.code ~ ' then 1 else 0 end)', 'is_always_shown': true
}) %}
{%- endfor %}
{%- set known = ['0'] %}
{%- for repair in focus_repairs() if repair.code %}
{%- set count = 'case when has_' ~ repair.code | replace(':', '_') | lower ~ ' then 1 else 0 end' %}
{%- do known.append(count) %}
{%- do checks.append({
    'code': repair.code, 'kind': 'repair', 'column': none, 'rule': repair.rule, 'is_scored': repair.is_scored,
    'count': 'sum(' ~ count ~ ')', 'is_always_shown': repair.is_scored
}) %}
{%- endfor %}
{%- do checks.append({
    'code': 'other_repair', 'kind': 'repair', 'column': none, 'rule': 'mended in a way that this list does not know',
    'count': 'sum(case when repair_count > ' ~ known | join(' + ') ~ ' then 1 else 0 end)', 'is_scored': false,
    'is_always_shown': false
}) %}
{%- do checks.append({
    'code': 'unit_without_tokens', 'kind': 'unknown_unit', 'column': 'ConsumedUnit',
    'rule': 'a unit of model use that is no known count of tokens: nothing is compared by it',
    'count': 'sum(case when has_unit_without_tokens then 1 else 0 end)', 'is_scored': false, 'is_always_shown': false
}) %}

with lines as (
    select * from {{ ref('stg_focus__checks') }}
    where billing_period_start_date in (
        select billing_period_start_date from {{ source('build', 'touched_periods') }}
    )
),

counted as (
    select
        source_name,
        provider_name,
        billing_account_id,
        billing_period_start_date,
        {% for check in checks -%}
        {{ check.count }} as count_{{ loop.index }},
        {% endfor -%}
        count(*) as line_count
    from lines
    group by source_name, provider_name, billing_account_id, billing_period_start_date
),

checks as (
    {% for check in checks -%}
    select
        source_name,
        provider_name,
        billing_account_id,
        billing_period_start_date,
        '{{ check.code }}' as check_code,
        '{{ check.kind }}' as check_kind,
        {{ "'" ~ check.column ~ "'" if check.column else 'cast(null as string)' }} as focus_column,
        '{{ check.rule }}' as check_rule,
        {{ check.is_scored | lower }} as is_scored,
        line_count,
        cast(count_{{ loop.index }} as bigint) as failed_line_count
    from counted
    {{ 'where count_' ~ loop.index ~ ' > 0' if not check.is_always_shown }}
    {{ 'union all' if not loop.last }}
    {% endfor %}
)

select
    source_name,
    provider_name,
    billing_account_id,
    check_code,
    check_kind,
    focus_column,
    check_rule,
    is_scored,
    line_count,
    failed_line_count,
    billing_period_start_date
from checks
