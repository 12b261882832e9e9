-- One row per charge group, day, owner and policy that moves dollars: a negative row where they leave, positive ones
-- where they arrive, so that every charge group still sums.
select
    {{ allocation_columns() }},
    {{ costs() }}
from {{ ref('int_charges__allocated') }}
where policy_id is not null
