-- One row per provider, month, scope and cause: a signed part of what its bill differs from the gateway's priced tokens
-- by. Parts add up to the difference; what no evidence explains is `unknown`.
-- Exact facts come first; then each cause takes of what is left as much as it can explain, in this order.
{%- set all = 'abs(@)' %}
{#- Cached tokens counted once too often, or left out of the prompt: the difference is they, at the input price. -#}
{%- set is_cached_twice = 'cached_at_input_cost_usd > 0 and abs(abs(@) - cached_at_input_cost_usd)'
    ~ ' <= greatest(0.01, cached_at_input_cost_usd * 0.001)' %}
{#- Name, cause, the most it explains where more was billed than priced, and where less was. -#}
{%- set takers = [
    ('nothing_seen', 'unseen_traffic', 'case when is_unseen then ' ~ all ~ ' else 0 end', '0'),
    ('nothing_priced', 'price_version', 'case when is_unpriced then ' ~ all ~ ' else 0 end', '0'),
    ('cached_twice', 'cache_semantics') + ('case when ' ~ is_cached_twice ~ ' then ' ~ all ~ ' else 0 end',) * 2,
    ('missing', 'missing_usage', 'missing_usage_up_usd', '0'),
    ('unseen', 'unseen_traffic', 'greatest(unseen_up_usd - taken_missing_usd, 0)', '0'),
    ('priced', 'price_version', 'price_version_up_usd', 'price_version_down_usd'),
    ('failed', 'failed_but_counted', '0', 'failed_down_usd'),
    ('repeated', 'duplicate', '0', 'duplicate_down_usd'),
    ('tiered', 'tier', 'tier_up_usd', 'tier_down_usd'),
    ('rounded', 'rounding') + ('case when abs(@) < 0.01 then abs(@) else 0 end',) * 2
] %}

with rest_0 as (
    select
        *,
        cast(variance_usd - fx_usd - timing_usd as decimal(38, 9)) as rest_0_usd
    from {{ ref('int_tokens__bill_scopes') }}
),

{% for name, cause, up, down in takers -%}
{% set rest = 'rest_' ~ loop.index0 ~ '_usd' -%}
{{ name }} as (
    select
        *,
        cast(case
            when {{ rest }} > 0 then least({{ rest }}, {{ up | replace('@', rest) }})
            when {{ rest }} < 0 then -least(-{{ rest }}, {{ down | replace('@', rest) }})
            else 0
        end as decimal(38, 9)) as taken_{{ name }}_usd
    from rest_{{ loop.index0 }}
),

rest_{{ loop.index }} as (
    select
        *,
        cast({{ rest }} - taken_{{ name }}_usd as decimal(38, 9)) as rest_{{ loop.index }}_usd
    from {{ name }}
),

{% endfor -%}
{% set parts = [('timing', 'timing_usd'), ('fx', 'fx_usd'), ('unknown', 'rest_' ~ takers | length ~ '_usd')] -%}
{% for name, cause, up, down in takers %}{% do parts.append((cause, 'taken_' ~ name ~ '_usd')) %}{% endfor -%}
parts as (
    {% for cause, amount in parts -%}
    select
        provider_name,
        billing_account_id,
        month_start_date,
        scope_id,
        '{{ cause }}' as cause,
        {{ amount }} as part_usd
    from rest_{{ takers | length }}
    where {{ amount }} != 0
    {{ 'union all' if not loop.last }}
    {% endfor %}
)

select
    provider_name,
    billing_account_id,
    month_start_date,
    scope_id,
    cause,
    {{ usd_sum('part_usd') }} as variance_usd
from parts
group by all
