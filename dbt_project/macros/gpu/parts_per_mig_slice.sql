{#- Integer parts of a MIG compute slice: divisible by every number of holders up to 20, small enough that the
    milliseconds of an hour x 7 slices x parts fit 64 bits. -#}
{% macro parts_per_mig_slice() -%} 232792560 {%- endmacro %}
