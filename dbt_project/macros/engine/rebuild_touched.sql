{#-
    Configuration of an incremental model that rebuilds what is touched: its touched keys empty and fill again, so that
    a day or period that has become empty empties. Incremental = full refresh (law 11) rests on it.

    key             usage_date or billing_period_start_date; the model filters by the same list
    with_neighbours also the day before and the day after: for what looks over midnight, a counter's difference
-#}
{% macro rebuild_touched(key, with_neighbours=false) -%}
    {{ return(adapter.dispatch('rebuild_touched', 'wattledger')(key, with_neighbours)) }}
{%- endmacro %}

{% macro duckdb__rebuild_touched(key, with_neighbours) -%}
    {{ return({
        'materialized': 'incremental',
        'incremental_strategy': 'replace_around_touched' if with_neighbours else 'replace_touched',
        'unique_key': key,
    }) }}
{%- endmacro %}

{#- Spark takes no strategy of ours: touched partitions are dropped, then those that have rows are written. -#}
{% macro spark__rebuild_touched(key, with_neighbours) -%}
    {{ return({
        'materialized': 'incremental',
        'incremental_strategy': 'insert_overwrite',
        'partition_by': [key],
        'pre_hook': '{% if is_incremental() %}delete from {{ this }} where ' ~ key ~ ' in ('
            ~ ('{{ days_around_touched() }}' if with_neighbours else
               "select " ~ key ~ " from {{ touched_relation('" ~ key ~ "') }}")
            ~ '){% endif %}',
    }) }}
{%- endmacro %}
