-- One row per UTC day and finding: GPU-hours held idle by a workload or held by nobody on a node, or a commitment
-- unused. A node's bill of the day is split over the GPU-hours it bills (policy gpu_all: CPU and memory ride along),
-- those that no sample speaks for among them, so the dollars of GPU findings are an estimate; a node without a bill
-- leaves them null. A projection, never added to the ledger.
with card_states as (
    select
        state_hours.*,
        nodes.node_key
    from {{ ref('fct_gpu_state_hours') }} as state_hours
    inner join {{ ref('int_gpu__nodes') }} as nodes using (usage_date, cluster_name, hostname)
),

node_states as (
    select
        usage_date,
        hostname,
        node_key,
        gpu_model,
        team_id,
        case when pod != '' then concat_ws('/', nullif(namespace, ''), pod) end as workload_id,
        gpu_state,
        sum(gpu_hours) as gpu_hours
    from card_states
    group by all
),

node_bills as (
    select
        usage_date,
        node_key,
        max(resource_id) as resource_id,
        max(billed_hour_count) as billed_hour_count,
        sum(effective_cost_usd) as node_cost_usd
    from {{ ref('int_charges__node_days') }}
    group by usage_date, node_key
),

-- Hours that the node bills and no sample of its cards speaks for: they cost what they cost, and are no finding.
unseen_states as (
    select
        card_states.usage_date,
        '' as hostname,
        card_states.node_key,
        '' as gpu_model,
        'unknown' as team_id,
        cast(null as string) as workload_id,
        'unseen' as gpu_state,
        max(node_bills.billed_hour_count) * count(distinct card_states.gpu_uuid) - sum(card_states.gpu_hours)
            as gpu_hours
    from card_states
    inner join node_bills using (usage_date, node_key)
    group by card_states.usage_date, card_states.node_key
    having max(node_bills.billed_hour_count) * count(distinct card_states.gpu_uuid) > sum(card_states.gpu_hours)
),

billed_states as (
    select
        states.*,
        node_bills.resource_id,
        node_bills.node_cost_usd,
        {{ nano_usd('states.gpu_hours') }} as gpu_hour_weight
    from (
        select * from node_states
        union all
        select * from unseen_states
    ) as states
    left join node_bills using (usage_date, node_key)
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
        node_key,
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
)

select
    usage_date,
    md5(concat_ws(
        '|', cast(usage_date as string), waste_kind, team_id, resource_id, node_key, hostname,
        gpu_model, coalesce(workload_id, '~')
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
    md5(concat_ws(
        '|', cast(usage_date as string), 'unused_commitment', team_id, coalesce(commitment_discount_id, '~'),
        provider_name, billing_account_id
    )),
    'unused_commitment',
    team_id,
    commitment_discount_id,
    null,
    null,
    cast(sum(effective_cost_usd) as decimal(38, 9)),
    null,
    concat(
        'Commitment ', coalesce(commitment_discount_id, 'without id'), ' of ', provider_name, '/', billing_account_id,
        ' was paid for and not used'
    ),
    'Move matching workloads under it, or let it lapse or shrink at renewal',
    false
from {{ ref('int_charges__unused_commitments') }}
group by usage_date, team_id, commitment_discount_id, provider_name, billing_account_id
