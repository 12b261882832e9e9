-- One row per serving workload, hour and consumer: what its calls weigh. Prefill has the GPU to itself, decode shares
-- it with the running batch, so a decode second counts a batch-th: in thousandths, prefill x batch + decode. The batch
-- is the hour's own where the engines were sampled, else the pool's. Where a call of the hour names no instants, or
-- nobody knows the batch, tokens weigh instead, 2 for input and 5 for output.
with calls as (
    select
        pools.cluster_name,
        pools.namespace,
        pools.workload_id,
        pools.model_id,
        hours.usage_hour_at,
        hours.usage_date,
        hours.team_id,
        hours.cost_center_id,
        hours.environment,
        hours.app_id,
        hours.consumer_id,
        max(hours.owner_rule_id) as owner_rule_id,
        max(coalesce(
            batches.running_batch_thousandths, cast(round(pools.mean_running_batch * 1000, 0) as bigint)
        )) as batch_thousandths,
        sum(hours.untimed_request_count) as untimed_request_count,
        sum(hours.prefill_milliseconds) as prefill_milliseconds,
        sum(hours.decode_milliseconds) as decode_milliseconds,
        sum(hours.worked_input_tokens) as worked_input_tokens,
        sum(hours.worked_output_tokens) as worked_output_tokens
    from {{ ref('stg_config__serving_pools') }} as pools
    inner join {{ ref('int_tokens__request_hours') }} as hours
        on
            pools.model_id = hours.model_id
            and hours.provider_name = 'self-hosted'
            and {{ is_valid_on('pools', 'hours.usage_date') }}
    left join {{ ref('int_tokens__running_batches') }} as batches
        on
            pools.cluster_name = batches.cluster_name
            and pools.namespace = batches.namespace
            and pools.workload_id = batches.workload_id
            and hours.usage_hour_at = batches.usage_hour_at
    where hours.worked_input_tokens + hours.worked_output_tokens > 0
    group by
        pools.cluster_name, pools.namespace, pools.workload_id, pools.model_id, hours.usage_hour_at, hours.usage_date,
        hours.team_id, hours.cost_center_id, hours.environment, hours.app_id, hours.consumer_id
),

weighed as (
    select
        *,
        batch_thousandths is not null and sum(untimed_request_count) over (
            partition by cluster_name, namespace, workload_id, usage_hour_at
        ) = 0 as is_timed
    from calls
)

select
    cluster_name,
    namespace,
    workload_id,
    model_id,
    usage_hour_at,
    usage_date,
    team_id,
    cost_center_id,
    environment,
    app_id,
    consumer_id,
    owner_rule_id,
    is_timed,
    cast(case when is_timed then prefill_milliseconds * batch_thousandths else worked_input_tokens * 2 end as bigint)
        as input_weight,
    cast(case when is_timed then decode_milliseconds * 1000 else worked_output_tokens * 5 end as bigint)
        as output_weight
from weighed
