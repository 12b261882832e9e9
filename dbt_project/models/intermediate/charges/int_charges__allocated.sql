-- One row per charge group, day, owner, workload, consumer, model and step of the billing periods being built:
-- every way a billed dollar can go, in one shape, before policies move anything.
{%- set ways = {
    'int_charges__direct': ['workload_id', 'consumer_id', 'model_id', 'price_set_id', 'policy_id'],
    'int_charges__held': ['consumer_id', 'model_id', 'price_set_id'],
    'int_charges__token': ['policy_id'],
} %}
{%- for model, absent in ways.items() %}
select
    charge_key,
    usage_date,
    team_id,
    cost_center_id,
    environment,
    {% for column in ['workload_id', 'consumer_id', 'model_id'] -%}
    {{ 'cast(null as string) as ' ~ column if column in absent else column }},
    {% endfor -%}
    allocation_step,
    allocation_method,
    {{ 'false as is_estimate' if model == 'int_charges__direct' else 'is_estimate' }},
    owner_rule_id,
    {{ 'cast(null as string) as price_set_id' if 'price_set_id' in absent else 'price_set_id' }},
    {{ 'cast(null as string) as policy_id' if 'policy_id' in absent else 'policy_id' }},
    {{ costs() }}
from {{ ref(model) }}
union all
{%- endfor %}
select
    charge_key,
    billing_period_start_date,
    'shared',
    null,
    null,
    null,
    null,
    null,
    'rounding',
    'rounded_once_to_the_nano_dollar',
    false,
    null,
    null,
    null,
    {{ costs() }}
from {{ ref('int_charges__rounding') }}
