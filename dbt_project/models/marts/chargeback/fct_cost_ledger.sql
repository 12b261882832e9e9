-- One row per day, charge group, owner, environment, workload, consumer, model, step, method and posting period:
-- where each cent went. The only place where allocated money is computed; every other mart is a projection of it.
{{ config(rebuild_touched('billing_period_start_date', touched_by=['int_books__booked', 'int_books__open_rows'])) }}

{%- set columns = [
    'usage_date', 'billing_period_start_date', 'posting_period_start_date', 'posting_cause', 'provider_name',
    'billing_account_id', 'invoice_id', 'charge_category', 'service_name', 'resource_id', 'cost_pool', 'team_id',
    'cost_center_id', 'environment', 'workload_id', 'consumer_id', 'model_id', 'allocation_step', 'allocation_method',
    'is_estimate', 'owner_rule_id', 'price_set_id', 'usd_per_unit', 'policy_id', 'charge_version', 'source_name',
    'charge_key'
] %}

with postings as (
    select
        ledger_row_id,
        {{ columns | join(',\n        ') }},
        {{ costs() }}
    from {{ ref('int_books__booked') }}
    union all
    select
        md5(concat_ws('|', ledger_key, cast(posting_period_start_date as string))),
        {{ columns | join(',\n        ') }},
        {{ costs() }}
    from {{ ref('int_books__open_rows') }}
)

select
    {% for column in columns -%}
    {{ 'cast(usd_per_unit as decimal(18, 9)) as usd_per_unit' if column == 'usd_per_unit' else column }},
    {% endfor -%}
    ledger_row_id,
    {{ costs(usd('$') ~ ' as $') }}
from postings
