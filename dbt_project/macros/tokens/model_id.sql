{#- A gateway's model without the provider prefix that some calls carry and others do not (bedrock/…). -#}
{% macro model_id() -%}
    case
        when left(gateway_model, length(gateway_provider) + 1) = concat(gateway_provider, '/')
            then substr(gateway_model, length(gateway_provider) + 2)
        else coalesce(gateway_model, 'unknown')
    end
{%- endmacro %}
