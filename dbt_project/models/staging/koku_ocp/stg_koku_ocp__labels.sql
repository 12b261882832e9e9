-- One row per node or namespace and hour, with its labels.
with source as (
    select * from {{ source('koku_ocp', 'koku_ocp_rows') }}
    where report in ('node_label', 'namespace_label')
),

renamed as (
    select
        -- keys
        cluster as cluster_name,
        case when report = 'node_label' then 'node' else 'namespace' end as labelled_kind,
        case when report = 'node_label' then node else namespace end as labelled_name,
        labels,


        -- time
        interval_start_at as usage_start_at,
        interval_end_at as usage_end_at,
        usage_date,

        -- audit
        _source as source_name,
        _object as object_uri,
        _position as object_position
    from source
)

select * from renamed
