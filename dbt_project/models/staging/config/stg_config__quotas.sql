-- One row per cluster, GPU model, team and validity of a nominal quota of GPUs.
with source as (
    select * from {{ source('raw', 'config_quotas') }}
),

renamed as (
    select
        cluster as cluster_name,
        gpu_model,
        team_id,
        nominal_quota_gpu_count,
        source as quota_source,
        {{ validity_dates() }}
    from source
)

select * from renamed
