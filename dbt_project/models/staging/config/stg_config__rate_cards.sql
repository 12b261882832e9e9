-- One row per cluster, GPU model and validity of a standard rate.
with source as (
    select * from {{ source('raw', 'config_rate_cards') }}
),

renamed as (
    select
        cluster as cluster_name,
        gpu_model,
        usd_per_gpu_hour,
        source as rate_source,
        {{ validity_dates() }}
    from source
)

select * from renamed
