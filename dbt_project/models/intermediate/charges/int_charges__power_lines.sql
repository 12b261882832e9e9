-- One row per charge line of a power invoice and host: the host's share by kWh.
-- The power invoice of a facility is the usage billed to its `power_invoice_account_id`, an account, sub-account or
-- resource. kWh are its key only: no energy charge stands beside it. What is below the nano-unit stays with one host,
-- so that the hosts add up to the line to the last place. A line whose time saw no kWh is not here, and stays whole.
{{ config(rebuild_touched('billing_period_start_date')) }}

with accounts as (
    select distinct
        power_invoice_account_id,
        valid_from_date,
        valid_to_date
    from {{ ref('stg_config__facilities') }}
    where power_source = 'invoice'
),

invoiced as (
    select
        charges.*,
        accounts.power_invoice_account_id
    from {{ ref('int_charges__provider_lines') }} as charges
    inner join accounts
        on
            accounts.power_invoice_account_id in (
                charges.billing_account_id, charges.sub_account_id, charges.resource_id
            )
            and {{ is_valid_on('accounts', 'cast(charges.charge_start_at as date)') }}
    where
        charges.charge_category = 'Usage'
        and charges.billing_period_start_date in (
            select billing_period_start_date from {{ source('build', 'touched_periods') }}
        )
    qualify row_number() over (
        partition by charges.source_name, charges.object_uri, charges.object_position
        order by accounts.power_invoice_account_id nulls last
    ) = 1
),

host_days as (
    select
        usage_date,
        power_invoice_account_id,
        hostname,
        {{ usd_sum('facility_kwh') }} as facility_kwh
    from {{ ref('int_gpu__energy_costs') }}
    where power_source = 'invoice' and facility_kwh is not null
    group by usage_date, power_invoice_account_id, hostname
),

shares as (
    select
        invoiced.*,
        coalesce(hosts.resource_id, host_days.hostname) as host_resource_id,
        {{ nano_usd('sum(host_days.facility_kwh)') }} as host_nano_kwh
    from invoiced
    inner join host_days
        on
            invoiced.power_invoice_account_id = host_days.power_invoice_account_id
            and host_days.usage_date >= cast(invoiced.charge_start_at as date)
            and cast(host_days.usage_date as timestamp) < invoiced.charge_end_at
    left join {{ ref('int_charges__hosts') }} as hosts
        on
            host_days.usage_date = hosts.usage_date
            and host_days.hostname = hosts.hostname
    group by all
),

split as (
    {{ split_usd(
        'shares',
        parent=['source_name', 'object_uri', 'object_position'],
        weight='host_nano_kwh',
        tie='host_resource_id',
        amounts=costs(unit='local', joint=' ').split()
    ) }}
),

ranked as (
    select
        *,
        row_number() over (
            partition by source_name, object_uri, object_position order by host_resource_id nulls last
        ) as host_rank
    from split
)

{%- set values = {'resource_id': 'host_resource_id as resource_id'} %}
{%- for column in costs(unit='local', joint=' ').split() -%}
    {%- do values.update({column: 'split_' ~ column ~ ' + case when host_rank = 1 then ' ~ column ~ ' - cast(' ~ column
        ~ ' as decimal(38, 9)) else 0 end as ' ~ column}) -%}
{%- endfor %}

select
    {% for column in charge_line_columns().replace('\n', ' ').split(',') | map('trim') -%}
    {{ values.get(column, column) }},
    {% endfor -%}
    host_rank
from ranked
