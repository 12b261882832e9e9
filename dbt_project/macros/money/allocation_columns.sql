{#-
    The columns of an allocation row, the one shape of every way a dollar can go, without its four cost bases: in the
    form, `$` stands for each column in turn.
-#}
{% macro allocation_columns(form='$') -%}
    {%- for column in [
        'charge_key', 'usage_date', 'team_id', 'cost_center_id', 'environment', 'workload_id', 'consumer_id', 'model_id',
        'allocation_step', 'allocation_method', 'is_estimate', 'owner_rule_id', 'price_set_id', 'policy_id'
    ] -%}
        {{ form | replace('$', column) }}{{ ',\n    ' if not loop.last }}
    {%- endfor -%}
{%- endmacro %}

{#-
    The columns that tell one ledger row from another of the same charge group and posting: all of an allocation row
    but the stamps, which say what made it.
-#}
{% macro ledger_grain(form='$') -%}
    {%- for column in [
        'charge_key', 'usage_date', 'team_id', 'cost_center_id', 'environment', 'workload_id', 'consumer_id', 'model_id',
        'allocation_step', 'allocation_method', 'is_estimate'
    ] -%}
        {{ form | replace('$', column) }}{{ ',\n    ' if not loop.last }}
    {%- endfor -%}
{%- endmacro %}
