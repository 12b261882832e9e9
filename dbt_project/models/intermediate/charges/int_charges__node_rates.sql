-- One row per cluster node and clock hour of the days being built: the shares of CPU, memory and GPUs in its bill, in
-- parts of 1e12, under each policy `node_rate`. They are shares of what was billed, whatever the list says, so that no
-- spot price makes one negative.
-- residual: GPUs have what CPU and memory leave of the node's list price · gpu_all: GPUs have all · weights: by
-- quantities, a GPU 9 : core 0.9 : GiB 0.1 · fixed: 95 : 3 : 2. A node without GPUs, and under weights one whose
-- quantities no holder tells, is split as residual.
{%- set one = 'cast(1000000000000 as ' ~ wide_integer_type() ~ ')' %}
{#- Units of a node in millionths: what a weight of a billionth can make of them must fit. -#}
{%- set most = 'cast(1000000000000000 as ' ~ wide_integer_type() ~ ')' %}
{%- set not_idle = "case when allocation_kind != 'idle' then " %}

with node_hours as (
    select
        node_key,
        usage_hour_at,
        usage_date,
        max(cluster_name) as cluster_name,
        {{ node_parts('sum($_weight) as list_$_weight') }},
        {{ node_parts('sum(' ~ not_idle ~ '$_weight else 0 end) as held_$_weight') }},
        {{ node_parts('sum(' ~ not_idle ~ '@_millionths else 0 end) as held_@_millionths') }},
        sum(cpu_weight + ram_weight + gpu_weight) as list_weight,
        sum(unpriced_weight) as unpriced_weight,
        max(allocation_kind = 'idle' and is_estimate) as is_idle_estimate
    from {{ ref('int_charges__allocation_hours') }}
    group by node_key, usage_hour_at, usage_date
    having sum(unpriced_weight) = 0 and sum(cpu_weight + ram_weight + gpu_weight) > 0
),

spoken_for as (
    {{ policy_for('node_hours', key=['node_key', 'usage_hour_at'], subject='node_rate', pools=['cluster_name']) }}
),

seen_cards as (
    select
        node_key,
        usage_hour_at,
        max(card_count) as card_count
    from {{ ref('int_charges__gpu_takers') }}
    group by node_key, usage_hour_at
),

-- What nobody requested has a price and no quantity: the holders' price tells it.
counted as (
    select
        spoken_for.*,
        seen_cards.card_count,
        {{ node_parts(
            'case when list_$_weight = 0 then 0 when held_$_weight != 0 then least('
            ~ integer_div('held_@_millionths * list_$_weight', 'held_$_weight') ~ ', ' ~ most ~ ') end as $_millionths'
        ) }}
    from spoken_for
    left join seen_cards using (node_key, usage_hour_at)
),

weighed as (
    select
        *,
        cast(case when policy_method = 'weights' then cpu_weight else 9 end * 1000000000 as bigint) * cpu_millionths
            as quantity_cpu_weight,
        cast(case when policy_method = 'weights' then ram_weight else 1 end * 1000000000 as bigint) * ram_millionths
            as quantity_ram_weight,
        cast(case when policy_method = 'weights' then gpu_weight else 90 end * 1000000000 as bigint)
        * coalesce(card_count * 1000000, gpu_millionths) as quantity_gpu_weight,
        cast(case when policy_method = 'fixed' then cpu_weight else 3 end * 1000000000 as bigint) as fixed_cpu_weight,
        cast(case when policy_method = 'fixed' then ram_weight else 2 end * 1000000000 as bigint) as fixed_ram_weight,
        cast(case when policy_method = 'fixed' then gpu_weight else 95 end * 1000000000 as bigint) as fixed_gpu_weight,
        list_gpu_weight > 0 or card_count is not null as has_gpus
    from counted
),

totals as (
    select
        *,
        quantity_cpu_weight + quantity_ram_weight + quantity_gpu_weight as quantity_weight,
        fixed_cpu_weight + fixed_ram_weight + fixed_gpu_weight as fixed_weight
    from weighed
),

shared as (
    select
        *,
        {{ listed(integer_div(one ~ ' * list_$_weight', 'list_weight') ~ ' as residual_$_parts', ['cpu', 'ram']) }},
        {{ listed(
            integer_div(one ~ ' * quantity_$_weight', 'quantity_weight') ~ ' as weights_$_share', ['cpu', 'ram']
        ) }},
        {{ listed(integer_div(one ~ ' * fixed_$_weight', 'fixed_weight') ~ ' as fixed_$_share', ['cpu', 'ram']) }}
    from totals
)

select
    node_key,
    usage_hour_at,
    usage_date,
    cluster_name,
    policy_id,
    policy_method,
    is_idle_estimate,
    has_gpus,
    card_count is not null as has_seen_gpus,
    {{ node_parts('list_$_weight') }},
    residual_cpu_parts,
    residual_ram_parts,
    {{ listed('case when has_gpus then 0 else residual_$_parts end as gpu_all_$_parts', ['cpu', 'ram']) }},
    {{ listed(
        'coalesce(case when has_gpus then weights_$_share end, residual_$_parts) as weights_$_parts', ['cpu', 'ram']
    ) }},
    {{ listed('case when has_gpus then fixed_$_share else residual_$_parts end as fixed_$_parts', ['cpu', 'ram']) }}
from shared
