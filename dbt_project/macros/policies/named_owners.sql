{#- The four owners of a dollar that has none (law 10), as a list of SQL texts. -#}
{% macro named_owners() -%} 'unallocated', 'shared', 'untagged', 'unknown' {%- endmacro %}
