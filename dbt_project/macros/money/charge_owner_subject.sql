{#- What a charge's owner is looked up by: equal tags and accounts have equal owners on a day. -#}
{% macro charge_owner_subject() -%}
    md5(concat_ws('|', coalesce(tags, '~'), coalesce(sub_account_id, '~'), billing_account_id))
{%- endmacro %}
