{#- A list of SQL expressions: in the form, `$` stands for each of the names in turn. -#}
{% macro listed(form, names, joint=',') -%}
    {%- for name in names -%}
        {{ form | replace('$', name) }}
        {%- if not loop.last %}{{ ',\n    ' if joint == ',' else '\n    ' ~ joint ~ ' ' }}{% endif -%}
    {%- endfor -%}
{%- endmacro %}

{#- The four ways a node's bill becomes a rate of its GPUs: subject `node_rate` of the allocation policies. -#}
{% macro node_rates(form='$', joint=',') -%}
    {{ listed(form, ['residual', 'gpu_all', 'weights', 'fixed'], joint) }}
{%- endmacro %}

{#- What a node's bill pays for; `@` stands for the unit that each is counted in. -#}
{% macro node_parts(form='$') -%}
    {%- for part, unit in [('cpu', 'core'), ('ram', 'gib'), ('gpu', 'gpu')] -%}
        {{ form | replace('$', part) | replace('@', unit) }}{{ ',\n    ' if not loop.last }}
    {%- endfor -%}
{%- endmacro %}
