{#-
    The owner rule that speaks for each subject on each day.

    candidates  relation of (subject_key, usage_date, match_on, match_key, match_value): what a subject could be
                matched by; match_key is '' unless match_on is 'tag'

    Yields one row per (subject_key, usage_date) that some rule matches: lowest priority first, then
    tag > key > namespace > account, then rule_id.
-#}
{% macro resolve_owner(candidates) -%}
    select
        candidates.subject_key,
        candidates.usage_date,
        rules.rule_id as owner_rule_id,
        rules.match_on as owner_match_on,
        rules.match_value as owner_match_value,
        rules.team_id,
        rules.cost_center_id,
        rules.environment
    from {{ candidates }} as candidates
    inner join {{ ref('stg_config__owner_rules') }} as rules
        on
            candidates.match_on = rules.match_on
            and candidates.match_key = rules.match_key
            and candidates.match_value = rules.match_value
            and {{ is_valid_on('rules', 'candidates.usage_date') }}
    qualify row_number() over (
        partition by candidates.subject_key, candidates.usage_date
        order by
            rules.priority nulls last,
            case rules.match_on when 'tag' then 1 when 'key' then 2 when 'namespace' then 3 else 4 end,
            rules.rule_id
    ) = 1
{%- endmacro %}
