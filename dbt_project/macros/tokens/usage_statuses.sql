{#-
    The disjoint counts of calls by what their tokens rest on, `$` standing for each name; they add up to the calls.
    Reported: counted by the provider. Zero: reported as none. Missing: no count came, an answer did. Unbilled failure: no
    answer, no tokens. Cache hit: answered by the gateway itself.
-#}
{% macro usage_statuses(form='$_request_count', joint=',') -%}
    {{ listed(form, ['reported_usage', 'zero_usage', 'missing_usage', 'unbilled_failure', 'cache_hit'], joint) }}
{%- endmacro %}
