-- One row per billing period, rule that could know an unowned thing (match_on, match_key, match_value), team that may
-- own it and kind of evidence: the rule that ended, others of its kind, its name, the pods on it, its account.
with subjects as (
    select
        *,
        case when match_on = 'account' then {{ last_path_part('resource_id') }} else match_value end as name
    from {{ ref('int_charges__subjects') }}
    where match_value != ''
),

things as (
    select * from subjects
    where is_unowned
),

owned as (
    select * from subjects
    where owner_rule_id is not null and effective_cost_usd > 0
),

{%- set subject = 'billing_period_start_date, match_on, match_key, match_value' %}
{#- By what a thing and an owned thing of the same period are compared; null compares with nothing. -#}
{%- set account = "concat_ws('|', provider_name, account_id)" %}
{%- set comparisons = {
    'same_thing': {'asked': "concat_ws('|', match_on, " ~ account ~ ", thing_id)"},
    'same_namespace_or_key': {'asked': "case when match_on in ('namespace', 'key') then concat(match_on, match_value) end"},
    'pods_ran_on_it': {
        'asked': "case when match_on in ('account', 'tag') then resource_id end",
        'told': "case when match_on = 'namespace' then resource_id end",
    },
    'same_name_prefix': {
        'asked': "case when length(" ~ first_name_part('name') ~ ") >= 3 then concat_ws('|', match_on, "
            ~ first_name_part('name') ~ ') end',
    },
    'account_majority': {
        'asked': "case when match_on in ('account', 'tag') then " ~ account ~ ' end',
        'told': account,
    },
} %}

compared as (
    {% for kind, by in comparisons.items() -%}
    select
        asked.*,
        told.team_id,
        '{{ kind }}' as evidence_kind,
        told.effective_cost_usd
    from (
        select distinct
            {{ subject }},
            {{ by['asked'] }} as compared_by
        from things
    ) as asked
    inner join (
        select
            billing_period_start_date,
            team_id,
            {{ by['told'] or by['asked'] }} as compared_by,
            sum(effective_cost_usd) as effective_cost_usd
        from owned
        group by all
    ) as told
        on
            asked.billing_period_start_date = told.billing_period_start_date
            and asked.compared_by = told.compared_by
    {{ 'union all' if not loop.last }}
    {% endfor %}
),

weighed as (
    select
        {{ subject }},
        team_id,
        evidence_kind,
        sum(effective_cost_usd) as speaking_usd,
        sum(sum(effective_cost_usd)) over (partition by {{ subject }}, evidence_kind) as known_usd
    from compared
    group by {{ subject }}, team_id, evidence_kind
),

shares as (
    select
        *,
        cast(
            cast({{ integer_div(nano_usd('speaking_usd') ~ ' * 10000', nano_usd('known_usd')) }} as decimal(18, 0))
            * 0.0001 as decimal(9, 4)
        ) as speaking_share
    from weighed
),

names as (
    select
        team_id,
        team_id as name
    from {{ ref('stg_config__owner_rules') }}
    union
    select
        team_id,
        team_name
    from {{ ref('stg_config__owner_rules') }}
    where team_name is not null
),

named as (
    select distinct
        {{ subject }},
        names.team_id
    from things
    inner join names
        on
            length({{ plain_name('names.name') }}) >= 3
            and (
                position({{ plain_name('names.name') }} in {{ plain_name('things.name') }}) > 0
                or levenshtein({{ plain_name('names.name') }}, {{ plain_name('things.name') }}) <= 1
            )
),

ended as (
    select distinct
        {{ subject }},
        rules.team_id
    from things
    inner join {{ ref('stg_config__owner_rules') }} as rules using (match_on, match_key, match_value)
)

select
    {{ subject }},
    team_id,
    evidence_kind,
    known_usd,
    speaking_share
from shares
union all
select
    {{ subject }},
    team_id,
    'name_of_team',
    null,
    1
from named
union all
select
    {{ subject }},
    team_id,
    'rule_that_ended',
    null,
    1
from ended
