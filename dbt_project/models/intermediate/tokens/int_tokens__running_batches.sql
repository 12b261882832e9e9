-- One row per serving workload and hour that its engines were sampled at work: how many requests ran together, on the
-- mean over the samples of engines that ran any. Decoding is what fills this time, so this is the batch of a decode
-- second. A pod is of the workload that the cluster's allocations of the day say.
{{ config(rebuild_touched('usage_date')) }}

with workloads as (
    select distinct
        cluster_name,
        namespace,
        pod,
        controller_name as workload_id,
        cast(usage_hour_at as date) as usage_date
    from {{ ref('int_charges__heard_allocations') }}
    where pod is not null and controller_name is not null
),

-- Two objects may hold the same sample. Integers from here on: a mean of them does not depend on their order.
samples as (
    select
        cluster_name,
        namespace,
        pod,
        instance_name,
        engine_index,
        served_model_name,
        usage_date,
        sampled_at,
        cast(round(max(metric_value) * 1000, 0) as bigint) as running_thousandths
    from {{ ref('stg_vllm__samples') }}
    where
        metric_name = 'vllm:num_requests_running'
        and metric_value > 0
        and usage_date in (select usage_date from {{ source('build', 'touched_days') }})
    group by cluster_name, namespace, pod, instance_name, engine_index, served_model_name, usage_date, sampled_at
)

select
    workloads.cluster_name,
    workloads.namespace,
    workloads.workload_id,
    cast(date_trunc('hour', samples.sampled_at) as timestamp) as usage_hour_at,
    samples.usage_date,
    -- A roll-up over a step that was idle in part is below 1, and no request runs in less than a batch of one.
    cast(
        greatest({{ integer_div('sum(samples.running_thousandths)', 'count(*)') }}, 1000) as bigint
    ) as running_batch_thousandths,
    count(*) as sample_count
from samples
inner join workloads
    on
        samples.namespace = workloads.namespace
        and samples.pod = workloads.pod
        and samples.usage_date = workloads.usage_date
        and (samples.cluster_name is null or samples.cluster_name = workloads.cluster_name)
group by
    workloads.cluster_name, workloads.namespace, workloads.workload_id,
    cast(date_trunc('hour', samples.sampled_at) as timestamp), samples.usage_date
