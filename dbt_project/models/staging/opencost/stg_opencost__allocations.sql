-- One row per allocation of OpenCost or Kubecost (a container, or an idle or unallocated remainder, in one window).
with source as (
    select * from {{ source('opencost', 'opencost_allocations') }}
),

renamed as (
    select
        -- keys
        allocation_name,
        allocation_kind,
        cluster as cluster_name,
        node as node_name,
        provider_id,
        namespace,
        controller_kind,
        controller as controller_name,
        pod,
        container,
        labels,
        namespace_labels,
        gpu_model as gpu_model_name,
        gpu_uuid,
        is_gpu_shared,

        -- quantities
        minutes as run_minutes,
        cpu_core_hours,
        ram_byte_hours,
        gpu_count,
        gpu_hours,
        gpu_request_average,
        gpu_usage_average,

        -- money: shares of a node, not its price; OpenCost states no currency, its configuration is taken to be USD
        cpu_cost as cpu_cost_usd,
        cpu_cost_adjustment as cpu_cost_adjustment_usd,
        gpu_cost as gpu_cost_usd,
        gpu_cost_adjustment as gpu_cost_adjustment_usd,
        ram_cost as ram_cost_usd,
        ram_cost_adjustment as ram_cost_adjustment_usd,
        pv_cost as pv_cost_usd,
        network_cost as network_cost_usd,
        load_balancer_cost as load_balancer_cost_usd,
        shared_cost as shared_cost_usd,
        external_cost as external_cost_usd,
        total_cost as total_cost_usd,

        -- time
        window_start_at,
        window_end_at,
        started_at,
        ended_at,
        usage_date,

        -- audit
        _source as source_name,
        _object as object_uri,
        _position as object_position
    from source
)

select * from renamed
