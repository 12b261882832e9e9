-- One row per team, the four named owners of an unowned dollar among them.
with named_owners as (
    select 'unallocated' as team_id, 'Unallocated: capacity nobody held' as team_name
    union all
    select 'shared', 'Shared: serves everyone'
    union all
    select 'untagged', 'Untagged: no tag or rule names an owner'
    union all
    select 'unknown', 'Unknown: an owner no rule knows'
)

select
    team_id,
    team_name,
    cost_center_id,
    false as is_named_owner,
    valid_from_date,
    valid_to_date
from {{ ref('int_charges__teams') }}
-- A rule may give to `shared`; it is a named owner all the same.
where team_id not in (select team_id from named_owners)
union all
select
    team_id,
    team_name,
    cast(null as string),
    true,
    cast('0001-01-01' as date),
    cast('9999-12-31' as date)
from named_owners
