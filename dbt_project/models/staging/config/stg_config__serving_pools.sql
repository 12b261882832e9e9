-- One row per serving pool and validity: a workload that serves a model of the company's own.
with source as (
    select * from {{ source('raw', 'config_serving_pools') }}
),

renamed as (
    select
        pool_id,
        cluster as cluster_name,
        namespace,
        controller as workload_id,
        model as model_id,
        mean_running_batch,
        {{ validity_dates() }}
    from source
)

select * from renamed
