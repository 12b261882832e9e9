-- One row per cluster node, clock hour and holder of the days being built: its integer weight in the node's bill, by
-- the cluster's policy `node_rate` and, for comparison, by each of the four. What CPU, memory and GPUs have of the bill
-- goes to who held them; what nobody took of each, and a part that nobody could take, is idle. Under residual, CPU and
-- memory that nobody requested follow the GPUs, held and idle alike: a GPU cannot be sold without them.
-- Where OpenCost tells totals alone, they are the weights under every policy.
{%- set one = 'cast(1000000000000 as ' ~ wide_integer_type() ~ ')' %}

with held as (
    select
        hours.node_key,
        hours.usage_hour_at,
        hours.usage_date,
        hours.cluster_name,
        hours.allocation_kind,
        hours.namespace,
        hours.pod,
        hours.workload_id,
        hours.is_estimate or coalesce(takers.is_estimate, false) as is_estimate,
        coalesce({{ integer_div(one ~ ' * hours.cpu_weight', 'rates.list_cpu_weight') }}, 0) as cpu_parts,
        coalesce({{ integer_div(one ~ ' * hours.ram_weight', 'rates.list_ram_weight') }}, 0) as ram_parts,
        case
            when rates.has_seen_gpus then coalesce(takers.gpu_parts, 0)
            else coalesce({{ integer_div(one ~ ' * hours.gpu_weight', 'rates.list_gpu_weight') }}, 0)
        end as gpu_parts
    from {{ ref('int_charges__allocation_hours') }} as hours
    inner join {{ ref('int_charges__node_rates') }} as rates using (node_key, usage_hour_at)
    left join {{ ref('int_charges__gpu_takers') }} as takers
        on
            hours.node_key = takers.node_key
            and hours.usage_hour_at = takers.usage_hour_at
            and hours.namespace = takers.namespace
            and hours.pod = takers.pod
            and hours.allocation_kind = 'workload'
    where hours.allocation_kind != 'idle'
),

unrequested as (
    select
        *,
        {{ one }} - sum(cpu_parts) over node_hour as idle_cpu_parts,
        {{ one }} - sum(ram_parts) over node_hour as idle_ram_parts
    from held
    window node_hour as (partition by node_key, usage_hour_at)
),

rated as (
    select
        unrequested.*,
        rates.has_gpus,
        {{ node_rates('rates.$_cpu_parts, rates.$_ram_parts') }},
        {{ integer_div(
            'rates.residual_cpu_parts * idle_cpu_parts + rates.residual_ram_parts * idle_ram_parts', one
        ) }} as unrequested_parts
    from unrequested
    inner join {{ ref('int_charges__node_rates') }} as rates using (node_key, usage_hour_at)
),

weighed as (
    select
        *,
        {{ node_rates(integer_div(
            '$_cpu_parts * cpu_parts + $_ram_parts * ram_parts + (' ~ one ~ ' - $_cpu_parts - $_ram_parts) * gpu_parts',
            one
        ) ~ ' as $_base') }},
        case when has_gpus then {{ integer_div('unrequested_parts * gpu_parts', one) }} else 0 end as following_parts
    from rated
),

idle as (
    select
        rates.node_key,
        rates.usage_hour_at,
        {{ one }} - coalesce(sum(weighed.residual_base + weighed.following_parts), 0) as residual_left,
        {{ one }} - coalesce(sum(weighed.gpu_all_base), 0) as gpu_all_left,
        {{ one }} - coalesce(sum(weighed.weights_base), 0) as weights_left,
        {{ one }} - coalesce(sum(weighed.fixed_base), 0) as fixed_left
    from {{ ref('int_charges__node_rates') }} as rates
    left join weighed using (node_key, usage_hour_at)
    group by rates.node_key, rates.usage_hour_at
),

shares as (
    select
        node_key,
        usage_hour_at,
        usage_date,
        cluster_name,
        allocation_kind,
        namespace,
        pod,
        workload_id,
        is_estimate,
        residual_base + following_parts as residual_weight,
        gpu_all_base as gpu_all_weight,
        weights_base as weights_weight,
        fixed_base as fixed_weight
    from weighed
    union all
    select
        node_key,
        usage_hour_at,
        rates.usage_date,
        rates.cluster_name,
        'idle',
        '',
        '',
        null,
        rates.is_idle_estimate,
        -- Less than a billionth is what divisions leave.
        {{ node_rates('case when idle.$_left < 1000 then 0 else idle.$_left end') }}
    from idle
    inner join {{ ref('int_charges__node_rates') }} as rates using (node_key, usage_hour_at)
    where {{ node_rates('idle.$_left >= 1000', joint='or') }}
)

select
    shares.*,
    case rates.policy_method
        when 'residual' then shares.residual_weight
        when 'gpu_all' then shares.gpu_all_weight
        when 'weights' then shares.weights_weight
        else shares.fixed_weight
    end as weight,
    concat('node_rate_', rates.policy_method) as allocation_method,
    rates.policy_id
from shares
inner join {{ ref('int_charges__node_rates') }} as rates using (node_key, usage_hour_at)
union all
select
    node_key,
    usage_hour_at,
    hours.usage_date,
    hours.cluster_name,
    hours.allocation_kind,
    hours.namespace,
    hours.pod,
    hours.workload_id,
    hours.is_estimate,
    {{ node_rates('hours.unpriced_weight + hours.cpu_weight + hours.ram_weight + hours.gpu_weight') }},
    hours.unpriced_weight + hours.cpu_weight + hours.ram_weight + hours.gpu_weight,
    'opencost_node_hour_share',
    null
from {{ ref('int_charges__allocation_hours') }} as hours
left join {{ ref('int_charges__node_rates') }} as rates using (node_key, usage_hour_at)
where rates.node_key is null
