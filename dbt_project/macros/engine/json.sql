{#- Text of one key of a flat JSON object; null when absent, or when the column is null or no JSON (exports carry such
    tags, and one of them must not stop a build). The key is a SQL expression. -#}
{% macro json_text(json_column, key) -%}
    {{ return(adapter.dispatch('json_text', 'wattledger')(json_column, key)) }}
{%- endmacro %}

{% macro duckdb__json_text(json_column, key) -%}
    case
        when json_valid({{ json_column }})
            then json_extract_string({{ json_column }}, '/' || replace(replace({{ key }}, '~', '~0'), '/', '~1'))
    end
{%- endmacro %}

{% macro spark__json_text(json_column, key) -%}
    get_json_object({{ json_column }}, concat("$['", {{ key }}, "']"))
{%- endmacro %}

{#- Select-list expression: one row per record of a JSON array of flat objects, with these fields as texts. -#}
{% macro explode_records(json_column, fields) -%}
    {{ return(adapter.dispatch('explode_records', 'wattledger')(json_column, fields)) }}
{%- endmacro %}

{% macro duckdb__explode_records(json_column, fields) -%}
    unnest(from_json({{ json_column }}, '[{"{{ fields | join('": "VARCHAR", "') }}": "VARCHAR"}]'))
{%- endmacro %}

{% macro spark__explode_records(json_column, fields) -%}
    explode(from_json({{ json_column }}, 'array<struct<{{ fields | join(': string, ') }}: string>>'))
{%- endmacro %}

{#- A JSON object of several columns, each a JSON array of {key, value}; of a key that stands in two of them, the later
    column's value. Null when there are none. -#}
{% macro merged_pairs(json_columns) -%}
    {{ return(adapter.dispatch('merged_pairs', 'wattledger')(json_columns)) }}
{%- endmacro %}

{% macro duckdb__merged_pairs(json_columns) -%}
    nullif(cast(list_reduce(
        list_concat(
            ['{}'::json]
            {%- for column in json_columns %},
            list_transform(
                list_filter(
                    from_json({{ column }}, '[{"key": "VARCHAR", "value": "VARCHAR"}]'), lambda pair: pair.key is not null
                ),
                lambda pair: json_object(pair.key, pair.value)
            )
            {%- endfor %}
        ),
        lambda merged, pair: json_merge_patch(merged, pair)
    ) as varchar), '{}')
{%- endmacro %}

{% macro spark__merged_pairs(json_columns) -%}
    nullif(to_json(aggregate(
        concat(
            {%- for column in json_columns %}
            coalesce(from_json({{ column }}, 'array<struct<key: string, value: string>>'), array())
            {{- ',' if not loop.last }}
            {%- endfor %}
        ),
        cast(map() as map<string, string>),
        (merged, pair) -> if(
            pair.key is null, merged, map_concat(map_filter(merged, (k, v) -> k != pair.key), map(pair.key, pair.value))
        )
    )), '{}')
{%- endmacro %}
