{#- A name without case, signs and the digits that number its copies: `Research-Team_01` is `researchteam`. -#}
{% macro plain_name(name) -%}
    {{ remove_matches(remove_matches('lower(' ~ name ~ ')', "'[^a-z0-9]+'"), "'[0-9]+$'") }}
{%- endmacro %}

{#- The first part of a name, up to the first sign: `research` of `Research-data-01`. -#}
{% macro first_name_part(name) -%}
    regexp_extract(lower({{ name }}), '^([a-z0-9]+)', 1)
{%- endmacro %}

{#- The last part of a path: the bucket of an ARN. -#}
{% macro last_path_part(path) -%}
    regexp_extract({{ path }}, '([^/:]+)$', 1)
{%- endmacro %}

{#- A value as a cell of a CSV. -#}
{% macro csv_cell(value) -%}
    case
        when {{ value }} is null then ''
        when regexp_extract({{ value }}, '([",\r\n])', 1) = '' then {{ value }}
        else concat('"', replace({{ value }}, '"', '""'), '"')
    end
{%- endmacro %}
