-- One row per charge line of a FOCUS export: which rules of FOCUS it breaks, and what was mended on landing it.
{#- The linter reads a macro's list as text: `if … .code` leaves it nothing to loop over. #}
with source as (
    select * from {{ source('raw', 'focus_charges') }}
),

checked as (
    select
        _source as source_name,
        coalesce(provider_name, service_provider_name, 'unknown') as provider_name,
        coalesce(billing_account_id, 'unknown') as billing_account_id,
        {% for rule in focus_rules() if rule.code -%}
        coalesce({{ rule.breaks }}, false) as breaks_{{ rule.code }},
        {% endfor -%}
        {% for repair in focus_repairs() if repair.code -%}
        coalesce(concat(',', _repairs, ',') like '%,{{ repair.code }},%', false)
            as has_{{ repair.code | replace(':', '_') | lower }},
        {% endfor -%}
        coalesce(length(_repairs) - length(replace(_repairs, ',', '')) + 1, 0) as repair_count,
        coalesce(service_subcategory, '') = 'Generative AI' and consumed_unit is not null
        and {{ tokens_per_unit('consumed_unit') }} is null as has_unit_without_tokens,
        billing_period_date as billing_period_start_date
    from source
)

select * from checked
