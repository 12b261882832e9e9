-- One row per dated allocation policy and team that it names.
with source as (
    select * from {{ source('raw', 'config_allocation_policies') }}
),

renamed as (
    select
        policy_id,
        subject,
        pool,
        method as policy_method,
        scope as policy_scope,
        recipient_team_id,
        weight as recipient_weight,
        recipient_share,
        gpu_weight,
        cpu_weight,
        ram_weight,
        compute_weight,
        memory_weight,
        {{ validity_dates() }}
    from source
)

select * from renamed
