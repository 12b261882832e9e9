{#- A policy of HOME/config/policies.yml as decimal(18, 9), or the default where the home does not set it. -#}
{% macro policy_number(policy_key, default_value) -%}
    coalesce(
        (
            select max(cast(policy_value as decimal(18, 9)))
            from {{ ref('stg_config__policies') }}
            where policy_key = '{{ policy_key }}'
        ),
        cast({{ default_value }} as decimal(18, 9))
    )
{%- endmacro %}
