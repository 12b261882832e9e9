{#-
    The four cost bases of FOCUS in one list: in the form, `$` stands for each column in turn, `@` for its basis
    without the unit.

    {{ costs() }}                                       billed_cost_usd, effective_cost_usd, list_cost_usd, …
    {{ costs('charges.$') }}                            of one relation
    {{ costs(usd_sum('$') ~ ' as $') }}                 summed
    {{ costs('-$ as $', unit='local') }}                negated, in the currency they were billed in
    {{ costs('a.$ is distinct from b.$', joint='or') }} compared

    List and contracted cost are null where the bill does not state them.
-#}
{% macro costs(form='$', unit='usd', joint=',') -%}
    {%- for basis in ['billed_cost', 'effective_cost', 'list_cost', 'contracted_cost'] -%}
        {{ form | replace('$', basis ~ '_' ~ unit) | replace('@', basis) }}
        {%- if not loop.last %}{{ ',\n    ' if joint == ',' else '\n    ' ~ joint ~ ' ' }}{% endif -%}
    {%- endfor -%}
{%- endmacro %}
