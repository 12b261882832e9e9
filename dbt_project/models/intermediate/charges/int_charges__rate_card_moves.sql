-- One row per held ledger row of a workload whose GPUs have a standard rate, and its contra row: what the rate charges
-- over or under the actual cost moves between the team and the platform (`unallocated`). Bills stay where they are:
-- only the effective cost moves, and every charge group still sums. The bills of a period are charged the rate of the
-- hours that they bill: where two periods share a day, each has its hours.
with held as (
    select
        held.*,
        dimensions.billing_period_start_date,
        {{ node_key('dimensions.resource_id') }} as node_key
    from {{ ref('int_charges__held') }} as held
    inner join {{ ref('int_charges__dimensions') }} as dimensions on held.charge_key = dimensions.charge_key
    where held.allocation_step = 'held'
),

billed_hours as (
    select distinct
        billing_period_start_date,
        node_key,
        usage_hour_at
    from {{ ref('int_charges__node_hours') }}
),

gpu_hours as (
    select
        billed_hours.billing_period_start_date,
        hours.node_key,
        hours.usage_date,
        hours.cluster_name,
        coalesce(owners.team_id, 'untagged') as team_id,
        owners.cost_center_id,
        owners.environment,
        concat_ws('/', hours.namespace, hours.workload_id) as workload_id,
        sum(hours.gpu_millionths) as gpu_hour_millionths
    from {{ ref('int_charges__allocation_hours') }} as hours
    inner join billed_hours
        on
            hours.node_key = billed_hours.node_key
            and hours.usage_hour_at = billed_hours.usage_hour_at
    left join {{ ref('int_charges__pod_owners') }} as owners
        on
            hours.usage_date = owners.usage_date
            and hours.cluster_name is not distinct from owners.cluster_name
            and hours.namespace = owners.namespace
            and hours.pod = owners.pod
    where hours.allocation_kind = 'workload' and hours.gpu_millionths > 0
    group by all
),

carded as (
    select
        gpu_hours.*,
        concat_ws(
            '/', 'rate_card', cards.cluster_name, cards.gpu_model, cast(cards.valid_from_date as string)
        ) as policy_id,
        {{ nano_usd('cards.usd_per_gpu_hour') }} as nano_usd_per_gpu_hour
    from gpu_hours
    left join {{ ref('int_gpu__pools') }} as pools
        on
            gpu_hours.usage_date = pools.usage_date
            and gpu_hours.node_key = pools.node_key
    inner join {{ ref('stg_config__rate_cards') }} as cards
        on
            cards.cluster_name in (gpu_hours.cluster_name, '*')
            and cards.gpu_model in (coalesce(pools.gpu_model, '*'), '*')
            and {{ is_valid_on('cards', 'gpu_hours.usage_date') }}
    qualify row_number() over (
        partition by
            gpu_hours.billing_period_start_date, gpu_hours.node_key, gpu_hours.usage_date, gpu_hours.cluster_name,
            gpu_hours.team_id, gpu_hours.cost_center_id, gpu_hours.environment, gpu_hours.workload_id
        order by (cards.cluster_name = '*') nulls last, (cards.gpu_model = '*') nulls last
    ) = 1
),

-- A node that several charges bill is charged its rate once.
matched as (
    select
        held.*,
        carded.policy_id as card_id,
        {{ from_nano(integer_div('carded.gpu_hour_millionths * carded.nano_usd_per_gpu_hour + 500000', '1000000')) }}
        - sum(held.effective_cost_usd) over workload_day as over_recovery_usd,
        abs({{ nano_usd('held.effective_cost_usd') }}) as weight,
        md5(concat_ws(
            '|', cast(held.billing_period_start_date as string), held.node_key, cast(held.usage_date as string),
            held.team_id, coalesce(held.cost_center_id, '~'), coalesce(held.environment, '~'), held.workload_id
        )) as workload_day_key,
        md5(concat_ws('|', held.charge_key, held.allocation_method, cast(held.is_estimate as string))) as row_key
    from held
    inner join carded
        on
            held.billing_period_start_date = carded.billing_period_start_date
            and held.node_key = carded.node_key
            and held.usage_date = carded.usage_date
            and held.team_id = carded.team_id
            and held.cost_center_id is not distinct from carded.cost_center_id
            and held.environment is not distinct from carded.environment
            and held.workload_id = carded.workload_id
    window workload_day as (
        partition by
            held.billing_period_start_date, held.node_key, held.usage_date, held.team_id, held.cost_center_id,
            held.environment, held.workload_id
    )
),

split as (
    {{ split_usd(
        'matched', parent=['workload_day_key'], weight='weight', tie='row_key', amounts=['over_recovery_usd']
    ) }}
)

{%- for direction in ['charged', 'recovered'] %}
select
    charge_key,
    usage_date,
    {{ 'team_id' if direction == 'charged' else "'unallocated'" }} as team_id,
    {{ 'cost_center_id' if direction == 'charged' else 'cast(null as string)' }} as cost_center_id,
    {{ 'environment' if direction == 'charged' else 'cast(null as string)' }} as environment,
    workload_id,
    cast(null as string) as consumer_id,
    cast(null as string) as model_id,
    'rate_card' as allocation_step,
    'standard_rate' as allocation_method,
    max(is_estimate) as is_estimate,
    max(owner_rule_id) as owner_rule_id,
    cast(null as string) as price_set_id,
    max(card_id) as policy_id,
    cast(0 as decimal(38, 9)) as billed_cost_usd,
    {{ usd_sum(('' if direction == 'charged' else '-') ~ 'split_over_recovery_usd') }} as effective_cost_usd,
    cast(null as decimal(38, 9)) as list_cost_usd,
    cast(null as decimal(38, 9)) as contracted_cost_usd
from split
group by 1, 2, 3, 4, 5, 6
{{ 'union all' if not loop.last }}
{%- endfor %}
