{#-
    Configuration of an incremental model that rebuilds what is touched: its touched keys empty and fill again, so that
    a day or period that has become empty empties. Incremental = full refresh (law 11) rests on it.

    key             usage_date or billing_period_start_date; the model filters by the same list
    with_neighbours also the day before and the day after: for what looks over midnight, a counter's difference
    touched_by      a model that does not filter by the list names the models whose rows it takes over: they hold
                    touched keys alone, which the test `shown_by` shows on a warehouse of two months
-#}
{% macro rebuild_touched(key, with_neighbours=false, touched_by=none) -%}
    {{ return(adapter.dispatch('rebuild_touched', 'wattledger')(key, with_neighbours, touched_by)) }}
{%- endmacro %}

{% macro duckdb__rebuild_touched(key, with_neighbours, touched_by) -%}
    {{ return({
        'materialized': 'incremental',
        'incremental_strategy': 'replace_around_touched' if with_neighbours else 'replace_touched',
        'unique_key': key,
        'meta': describe_touched_by(touched_by),
    }) }}
{%- endmacro %}

{#- Spark takes no strategy of ours: touched partitions are dropped, then those that have rows are written. -#}
{% macro spark__rebuild_touched(key, with_neighbours, touched_by) -%}
    {{ return({
        'materialized': 'incremental',
        'incremental_strategy': 'insert_overwrite',
        'partition_by': [key],
        'meta': describe_touched_by(touched_by),
        'pre_hook': '{% if is_incremental() %}delete from {{ this }} where ' ~ key ~ ' in ('
            ~ ('{{ days_around_touched() }}' if with_neighbours else
               "select " ~ key ~ " from {{ touched_relation('" ~ key ~ "') }}")
            ~ '){% endif %}',
    }) }}
{%- endmacro %}

{#- What a test on the manifest reads of a model that does not filter by the list itself. -#}
{% macro describe_touched_by(models) -%}
    {{ return({
        'touched_by': models,
        'shown_by': 'test_a_model_that_names_touched_parents_builds_touched_keys_alone',
    } if models else {}) }}
{%- endmacro %}
