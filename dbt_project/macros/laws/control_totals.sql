{#- True for a landing table of bills, whose partition is the billing period. -#}
{% macro is_bill_table(table_name) -%}
    {{ table_name }} in (
        'focus_charges', 'aws_cur_line_items', 'gcp_billing_rows', 'azure_cost_rows', 'oci_cost_rows', 'invoice_lines'
    )
{%- endmacro %}

{#- Query of the rows that stand in the lake, of the days and periods that the build rebuilds: (table_name, source_name,
    object_uri, partition_date, row_count). A bill's rows are counted by period alone. -#}
{% macro standing_row_counts() -%}
    {%- for table in [
        'focus_charges', 'aws_cur_line_items', 'gcp_billing_rows', 'azure_cost_rows', 'oci_cost_rows', 'invoice_lines'
    ] -%}
    select
        '{{ table }}' as table_name,
        cast(null as string) as source_name,
        cast(null as string) as object_uri,
        billing_period_date as partition_date,
        count(*) as row_count
    from {{ source('raw', table) }}
    where {{ is_rebuilt('billing_period_date', key='billing_period_start_date') }}
    group by billing_period_date
    union all
    {% endfor -%}
    {%- for dbt_source, table in [
        ('opencost', 'opencost_allocations'), ('dcgm', 'dcgm_samples'), ('kube', 'kube_pods'),
        ('kube', 'kube_pod_groups'), ('kube', 'kube_workloads'), ('kube', 'kube_state_samples'),
        ('vllm', 'vllm_samples'), ('koku_ocp', 'koku_ocp_rows'), ('litellm', 'litellm_requests'),
        ('provider_costs', 'provider_results'), ('raw', 'gpu_prices'), ('llm_price_catalogue', 'llm_catalogue_prices'),
        ('grid', 'carbon_intensity'), ('grid', 'electricity_prices'), ('provider_budgets', 'provider_budgets'),
        ('raw', 'slurm_jobs'), ('job_reports', 'job_reports')
    ] -%}
    select
        '{{ table }}',
        _source,
        _object,
        usage_date,
        count(*)
    from {{ source(dbt_source, table) }}
    where {{ is_rebuilt('usage_date') }}
    group by _source, _object, usage_date
    {{ 'union all' if not loop.last }}
    {% endfor -%}
{%- endmacro %}

{#- True for a day or period that this build rebuilds: on a full refresh for all, also one that has lost every file. -#}
{% macro is_rebuilt(partition_date, key='usage_date') -%}
    (
        {{ partition_date }} in (
            select {{ key }} from {{ source('build', 'touched_days' if key == 'usage_date' else 'touched_periods') }}
        )
        or exists (select 1 from {{ source('build', 'build_info') }} where is_full_refresh)
    )
{%- endmacro %}
