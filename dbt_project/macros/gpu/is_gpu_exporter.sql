{#- True for a container of the exporter of GPU metrics that requested no GPU: a scrape of its pod puts its labels on
    idle cards, and OpenCost then says that it has them. -#}
{% macro is_gpu_exporter() -%}
    (
        coalesce(gpu_count, 0) = 0
        and lower(concat_ws('|', pod, container)) like '%dcgm_exporter%'
    )
{%- endmacro %}
