{#-
    The allocation policy that speaks for each row of a relation on its day.

    relation  CTE or model
    key       columns that are unique in it
    subject   of the policy: idle, tax, …; none where each row names its own in the column `subject`
    pools     columns of the relation that a policy's pool may name, the one that wins first; `*` comes last
    day_date  column of the relation

    Yields the relation's columns plus those of `policy_columns`. A default stands for every day on which the company
    says nothing, so no row is lost. A policy that names teams is one row here: see `policy_recipients`.
-#}
{% macro policy_for(relation, key, subject=none, pools=[], day_date='usage_date') -%}
    select
        spoken_for.*,
        {{ policy_columns('policies.') }}
    from {{ relation }} as spoken_for
    inner join (
        select distinct
            subject,
            pool,
            {{ policy_columns() }},
            valid_from_date,
            valid_to_date
        from {{ ref('stg_config__allocation_policies') }}
        {%- if subject %}
        where subject = '{{ subject }}'
        {%- endif %}
    ) as policies
        on
            {% if not subject %}policies.subject = spoken_for.subject
            and {% endif %}policies.pool in ({% for pool in pools %}coalesce(spoken_for.{{ pool }}, '*'), {% endfor %}'*')
            and {{ is_valid_on('policies', 'spoken_for.' ~ day_date) }}
    qualify row_number() over (
        partition by {% for column in key %}spoken_for.{{ column }}{{ ', ' if not loop.last }}{% endfor %}
        order by
            case
                {% for pool in pools -%}
                when policies.pool = spoken_for.{{ pool }} then {{ loop.index }}
                {% endfor -%}
                else {{ pools | length + 1 }}
            end nulls last,
            policies.policy_id
    ) = 1
{%- endmacro %}

{#- What `policy_for` says of a policy. -#}
{% macro policy_columns(prefix='') -%}
    {%- for column in [
        'policy_id', 'policy_method', 'policy_scope', 'gpu_weight', 'cpu_weight', 'ram_weight', 'compute_weight',
        'memory_weight'
    ] -%}
        {{ prefix }}{{ column }}{{ ',\n        ' if not loop.last }}
    {%- endfor -%}
{%- endmacro %}
