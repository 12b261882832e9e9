-- Law 1 from the lake to the ledger: per provider, account and billing period the ledger is what landing summed of the
-- bills, converted and rounded once per source and currency; per currency, what reconciliation says was delivered and
-- set aside is the same sums, to the last place, whether or not a rate admits them. No model of bills is read.
{{ config(meta={'dagster': {'ref': {'name': 'fct_cost_ledger'}}}) }}

{%- set bill = 'provider_name, billing_account_id, billing_period_start_date' %}

with totals as (
    select
        *,
        partition_date as billing_period_start_date
    from {{ source('raw', 'control_totals') }}
    where {{ is_bill_table('table_name') }}
),

focus_bills as (
    select distinct
        provider_name,
        billing_account_id,
        billing_period_start_date
    from totals
    where table_name = 'focus_charges'
),

-- Azure exports a bill in two views; a commitment is paid in one and used up in the other.
azure_exports as (
    select
        source_name,
        billing_account_id,
        billing_period_start_date,
        split_part(line_kind, ' ', 1) as export_view,
        max(billing_profile_id) as billing_profile_id,
        max(case
            when split_part(line_kind, ' ', 2) in ('unused', 'commitment_unused', 'commitment_used') then 1
            else 0
        end) as amortizes
    from totals
    where table_name = 'azure_cost_rows'
    group by 1, 2, 3, 4
),

azure_views as (
    select
        *,
        case
            when export_view != 'unsaid' then export_view
            when amortizes = 1 then 'amortized'
            else 'actual'
        end as bill_view,
        export_view = 'unsaid' and max(case when export_view != 'unsaid' then 1 else 0 end) over (
            partition by billing_account_id, billing_period_start_date
        ) = 1 as is_said_elsewhere,
        exists(
            select 1 from focus_bills
            where
                focus_bills.provider_name in ('Microsoft', 'Microsoft Azure', 'Azure')
                and focus_bills.billing_period_start_date = azure_exports.billing_period_start_date
                and lower({{ last_path_part('focus_bills.billing_account_id') }}) in (
                    lower({{ last_path_part('azure_exports.billing_account_id') }}),
                    lower({{ last_path_part('azure_exports.billing_profile_id') }})
                )
        ) as is_focus_too
    from azure_exports
),

azure_bills as (
    select
        *,
        max(case when bill_view = 'actual' and not is_said_elsewhere then 1 else 0 end) over (
            partition by billing_account_id, billing_period_start_date
        ) = 1 as has_actual,
        max(case when bill_view = 'amortized' and not is_said_elsewhere then 1 else 0 end) over (
            partition by billing_account_id, billing_period_start_date
        ) = 1 as has_amortized
    from azure_views
),

azure_parts as (
    select
        totals.source_name,
        totals.billing_account_id,
        totals.billing_period_start_date,
        totals.currency_code,
        totals.measure,
        totals.total,
        split_part(totals.line_kind, ' ', 2) as part,
        azure_bills.bill_view,
        azure_bills.has_actual,
        azure_bills.has_amortized,
        azure_bills.is_focus_too,
        azure_bills.is_said_elsewhere
    from totals
    inner join azure_bills
        on
            totals.source_name = azure_bills.source_name
            and totals.billing_account_id is not distinct from azure_bills.billing_account_id
            and totals.billing_period_start_date = azure_bills.billing_period_start_date
            and split_part(totals.line_kind, ' ', 1) = azure_bills.export_view
    where totals.table_name = 'azure_cost_rows'
),

azure as (
    select
        *,
        case
            when is_focus_too then bill_view = 'actual' or not has_actual
            when is_said_elsewhere then false
            when measure = 'billed_cost' then bill_view = 'actual' or not has_actual
            when bill_view = 'amortized'
                then not has_actual or (part like 'commitment%' and part != 'commitment_purchase')
            when measure = 'effective_cost' then not (has_amortized and part = 'commitment_purchase')
            else not (has_amortized and part = 'commitment_covered')
        end as is_counted
    from azure_parts
),

others as (
    select
        totals.*,
        totals.table_name in ('aws_cur_line_items', 'gcp_billing_rows', 'oci_cost_rows') and exists (
            select 1 from focus_bills
            where
                focus_bills.provider_name = totals.provider_name
                and focus_bills.billing_account_id = totals.billing_account_id
                and focus_bills.billing_period_start_date = totals.billing_period_start_date
        ) as is_focus_too
    from totals
    left join {{ ref('gcp_discounts') }} as discounts
        on totals.line_kind = concat('credit ', discounts.credit_type)
    where
        totals.table_name != 'azure_cost_rows'
        and coalesce(totals.line_kind, '') != 'split_of_a_node'
        -- A credit that is a part of the price is none of what was contracted.
        and not (totals.measure = 'contracted_cost' and discounts.credit_type is not null)
),

asked as (
    select
        source_name,
        provider_name,
        billing_account_id,
        billing_period_start_date,
        currency_code,
        measure,
        total,
        is_focus_too
    from others
    union all
    select
        source_name,
        'Microsoft',
        billing_account_id,
        billing_period_start_date,
        currency_code,
        measure,
        total,
        is_focus_too
    from azure
    where is_counted
),

bills as (
    select
        source_name,
        provider_name,
        billing_account_id,
        billing_period_start_date,
        currency_code,
        is_focus_too,
        {{ costs("cast(sum(case when measure = '@' then total end) as decimal(38, 18)) as $", unit='local') }}
    from asked
    group by 1, 2, 3, 4, 5, 6
),

rates as (
    select
        currency_code,
        rate as usd_per_unit,
        {{ validity_dates() }}
    from {{ source('raw', 'config_fx_rates') }}
    where to_currency_code = 'USD'
),

in_usd as (
    select
        bills.*,
        case when bills.currency_code = 'USD' then 1 else rates.usd_per_unit end as usd_per_unit
    from bills
    left join rates
        on
            bills.currency_code = rates.currency_code
            and {{ is_valid_on('rates', 'bills.billing_period_start_date') }}
    where not bills.is_focus_too
),

ledger_sides as (
    select
        {{ bill }},
        {{ costs(convert_usd('@_local', 'usd_per_unit') ~ ' as $') }}
    from in_usd
    where usd_per_unit is not null
    union all
    select
        {{ bill }},
        {{ costs('-$') }}
    from {{ ref('fct_cost_ledger') }}
    where allocation_step != 'accrual' and provider_name not in ('owned', 'wattledger')
),

local_sides as (
    select
        {{ bill }},
        currency_code,
        case when is_focus_too then 'set_aside' else 'delivered' end as step,
        {{ costs(unit='local') }}
    from bills
    union all
    select
        {{ bill }},
        currency_code,
        step,
        {{ costs('-$', unit='local') }}
    from {{ ref('fct_reconciliation') }}
    where step in ('delivered', 'set_aside') and provider_name != 'owned'
)

select
    {{ bill }},
    'ledger' as step,
    'USD' as currency_code,
    {{ costs('sum($) as @_gap') }}
from ledger_sides
group by {{ bill }}
having {{ costs('coalesce(sum($), 0) != 0', joint='or') }}
union all
select
    {{ bill }},
    step,
    currency_code,
    {{ costs('sum($)', unit='local') }}
from local_sides
group by {{ bill }}, step, currency_code
having
    sum(billed_cost_local) != 0
    or (step = 'delivered' and ({{ costs('coalesce(sum($), 0) != 0', unit='local', joint='or') }}))
