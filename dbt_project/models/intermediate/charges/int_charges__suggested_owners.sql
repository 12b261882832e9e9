-- One row per billing period and rule that could know an unowned thing (match_on, match_key, match_value): the team
-- with the best evidence, the evidence in words, and the line of owners.csv that would say so.
{%- set subject = ['billing_period_start_date', 'match_on', 'match_key', 'match_value'] %}

-- How far each kind of evidence is believed when all that it knows points to one team; a judgement, dated 2026-11-23.
with weighed as (
    select
        *,
        cast(speaking_share * case evidence_kind
            when 'rule_that_ended' then 0.9
            when 'same_thing' then 0.9
            when 'same_namespace_or_key' then 0.85
            when 'name_of_team' then 0.8
            when 'pods_ran_on_it' then 0.7
            when 'same_name_prefix' then 0.6
            else 0.5
        end as decimal(9, 4)) as confidence_share
    from {{ ref('int_charges__owner_evidence') }}
),

best as (
    select *
    from weighed
    qualify row_number() over (
        partition by {{ subject | join(', ') }}
        order by confidence_share desc nulls last, evidence_kind, team_id
    ) = 1
),

-- A rule that speaks for the same thing on other days must not overlap with the line.
neighbours as (
    select
        best.{{ subject | join(',\n        best.') }},
        max(case
            when rules.valid_to_date < {{ next_month('best.billing_period_start_date') }} then rules.valid_to_date
        end) as last_end_date,
        min(case
            when rules.valid_from_date > best.billing_period_start_date then rules.valid_from_date
        end) as next_start_date
    from best
    left join {{ ref('stg_config__owner_rules') }} as rules
        on
            best.match_on = rules.match_on
            and best.match_key = rules.match_key
            and best.match_value = rules.match_value
    group by all
),

teams as (
    select
        team_id,
        max(team_name) as team_name,
        max(cost_center_id) as cost_center_id
    from {{ ref('int_charges__teams') }}
    group by team_id
)

select
    best.{{ subject | join(',\n    best.') }},
    best.team_id as suggested_team_id,
    best.evidence_kind,
    case best.evidence_kind
        when 'rule_that_ended'
            then concat(
                'a rule for ', best.match_on, ' ', best.match_value, ' gives it to ', best.team_id, ' on other days'
            )
        when 'name_of_team' then concat('its name holds that of team ', best.team_id)
        else concat(
            cast(cast(best.speaking_share * 100 as decimal(9, 0)) as string), '% of the ',
            cast(cast(best.known_usd as decimal(38, 2)) as string), ' USD with an owner ',
            case best.evidence_kind
                when 'same_thing' then 'on the same resource'
                when 'same_namespace_or_key' then concat('of the same ', best.match_on)
                when 'pods_ran_on_it' then 'of pods that ran on it'
                when 'same_name_prefix' then 'under the same first part of the name'
                else 'in the same account'
            end,
            ' are of ', best.team_id
        )
    end as evidence,
    best.confidence_share,
    concat_ws(
        ',',
        concat('gap-', substr(md5(concat_ws('|', best.match_on, best.match_key, best.match_value)), 1, 10)),
        best.match_on,
        {{ csv_cell('best.match_key') }},
        {{ csv_cell('best.match_value') }},
        {{ csv_cell('best.team_id') }},
        {{ csv_cell('teams.team_name') }},
        {{ csv_cell('teams.cost_center_id') }},
        '',
        '900',
        cast(greatest(
            best.billing_period_start_date,
            coalesce(neighbours.last_end_date, best.billing_period_start_date)
        ) as string),
        coalesce(cast(neighbours.next_start_date as string), '')
    ) as owners_line
from best
inner join neighbours
    on
        best.billing_period_start_date = neighbours.billing_period_start_date
        and best.match_on = neighbours.match_on
        and best.match_key = neighbours.match_key
        and best.match_value = neighbours.match_value
left join teams on best.team_id = teams.team_id
