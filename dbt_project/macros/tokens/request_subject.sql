{#- What a request's owner is looked up by: equal keys, gateway teams and tags have equal owners on a day. -#}
{% macro request_subject() -%}
    md5(concat_ws(
        '|',
        coalesce(api_key_alias, '~'),
        coalesce(api_key_hash, '~'),
        coalesce(litellm_team_id, '~'),
        coalesce(request_tags, '~')
    ))
{%- endmacro %}
