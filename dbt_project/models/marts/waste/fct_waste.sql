-- One row per UTC day and finding: GPU-hours held idle by a workload or held by nobody on a node, or a commitment
-- unused. A node's bill of the day is split over the GPU-hours seen on it (policy gpu_all: CPU and memory ride along),
-- so the dollars of GPU findings are an estimate; a node without a bill leaves them null. A projection, never added to
-- the ledger.
with node_states as (
    select
        state_hours.usage_date,
        state_hours.hostname,
        coalesce(nodes.node_key, {{ node_key('state_hours.hostname') }}) as node_key,
        state_hours.gpu_model,
        state_hours.team_id,
        case when state_hours.pod != '' then concat_ws('/', state_hours.namespace, state_hours.pod) end as workload_id,
        state_hours.gpu_state,
        sum(state_hours.gpu_hours) as gpu_hours
    from {{ ref('fct_gpu_state_hours') }} as state_hours
    left join {{ ref('int_gpu__nodes') }} as nodes
        on
            state_hours.usage_date = nodes.usage_date
            and lower(state_hours.hostname) = nodes.hostname
    group by all
),

node_bills as (
    select
        usage_date,
        node_key,
        max(resource_id) as resource_id,
        sum(effective_cost_usd) as node_cost_usd
    from {{ ref('int_charges__node_days') }}
    group by usage_date, node_key
),

billed_states as (
    select
        node_states.*,
        node_bills.resource_id,
        node_bills.node_cost_usd,
        {{ nano_usd('node_states.gpu_hours') }} as gpu_hour_weight
    from node_states
    left join node_bills
        on
            node_states.usage_date = node_bills.usage_date
            and node_states.node_key = node_bills.node_key
),

split as (
    {{ split_usd(
        'billed_states',
        parent=['usage_date', 'node_key'],
        weight='gpu_hour_weight',
        tie="hostname, gpu_model, team_id, coalesce(workload_id, ''), gpu_state",
        amounts=['node_cost_usd']
    ) }}
),

gpu_findings as (
    select
        usage_date,
        case gpu_state when 'held_idle' then 'held_idle_gpu' else 'unallocated_gpu' end as waste_kind,
        team_id,
        coalesce(resource_id, hostname) as resource_id,
        hostname,
        workload_id,
        gpu_model,
        gpu_hours as wasted_gpu_hours,
        split_node_cost_usd as waste_cost_usd,
        case when split_node_cost_usd is null then 'no_node_charge' end as missing_reason,
        concat(
            cast(cast(gpu_hours as decimal(18, 2)) as string), ' GPU-hours of ', gpu_model, ' on ', hostname,
            case gpu_state
                when 'held_idle' then concat(' were held by ', workload_id, ' without work')
                else ' were held by nobody'
            end
        ) as evidence,
        case gpu_state
            when 'held_idle' then 'Release the GPU, share it, or scale the workload to zero while it waits'
            else 'Schedule work on it, shrink the node pool, or let the node scale down'
        end as recommended_action,
        true as is_estimate
    from split
    where gpu_state in ('held_idle', 'unallocated') and gpu_hours > 0
),

commitment_findings as (
    select
        usage_date,
        'unused_commitment' as waste_kind,
        team_id,
        commitment_discount_id as resource_id,
        concat_ws('/', provider_name, billing_account_id) as account,
        sum(effective_cost_usd) as waste_cost_usd
    from {{ ref('int_charges__unused_commitments') }}
    group by usage_date, team_id, commitment_discount_id, provider_name, billing_account_id
)

select
    usage_date,
    md5(concat_ws(
        '|', cast(usage_date as string), waste_kind, team_id, resource_id, hostname, gpu_model,
        coalesce(workload_id, '~')
    )) as finding_key,
    waste_kind,
    team_id,
    resource_id,
    workload_id,
    cast(wasted_gpu_hours as decimal(18, 9)) as wasted_gpu_hours,
    cast(waste_cost_usd as decimal(38, 9)) as waste_cost_usd,
    missing_reason,
    evidence,
    recommended_action,
    is_estimate
from gpu_findings
union all
select
    usage_date,
    md5(concat_ws('|', cast(usage_date as string), waste_kind, team_id, coalesce(resource_id, '~'), account)),
    waste_kind,
    team_id,
    resource_id,
    null,
    null,
    cast(waste_cost_usd as decimal(38, 9)),
    null,
    concat('Commitment ', coalesce(resource_id, 'without id'), ' of ', account, ' was paid for and not used'),
    'Move matching workloads under it, or let it lapse or shrink at renewal',
    false
from commitment_findings
