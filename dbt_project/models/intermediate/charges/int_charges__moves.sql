-- One row per charge group, day, owner and policy that moves dollars: a negative row where they leave, positive ones
-- where they arrive, so that every charge group still sums.
{%- set moves = [
    'int_charges__idle_moves', 'int_charges__commitment_moves', 'int_charges__shared_moves',
    'int_charges__pool_moves', 'int_charges__rate_card_moves'
] %}
{%- for model in moves %}
select
    {{ allocation_columns() }},
    {{ costs() }}
from {{ ref(model) }}
{%- if not loop.last %}
union all
{%- endif %}
{%- endfor %}
