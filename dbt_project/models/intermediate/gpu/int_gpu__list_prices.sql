-- One row per catalogue, thing priced and day of the catalogue: the list price and the days [valid_from, valid_to) on
-- which it is the newest. Later catalogues never reprice earlier days; what left its catalogue held until then. Regions
-- may come in files of their own, on days of their own.
with prices as (
    select
        source_name,
        catalogue_name,
        {%- set things = [
            'provider_id', 'region_id', 'zone_id', 'instance_type', 'sku_id', 'price_kind', 'priced_part',
            'catalogue_gpu_model'
        ] %}
        {%- for column in things %}
        coalesce({{ column }}, '') as {{ column }},
        {%- endfor %}
        gpu_count,
        vcpu_count,
        memory_gib,
        usd_per_hour,
        catalogue_date
    from {{ ref('stg_gpu_prices__prices') }}
    where tier_start_units = 0 or tier_start_units is null
    -- Of several versions and catalogues of one day the newest holds.
    qualify row_number() over (
        partition by source_name, catalogue_name, {{ things | join(', ') }}, gpu_count, catalogue_date
        order by effective_at desc nulls last, catalogued_at desc nulls last, object_uri, object_position
    ) = 1
),

catalogue_days as (
    select
        source_name,
        catalogue_name,
        provider_id,
        region_id,
        catalogue_date,
        lead(catalogue_date) over (
            partition by source_name, catalogue_name, provider_id, region_id
            order by catalogue_date nulls last
        ) as next_catalogue_date
    from (select distinct source_name, catalogue_name, provider_id, region_id, catalogue_date from prices) as days
)

select
    prices.*,
    prices.catalogue_date as valid_from,
    coalesce(days.next_catalogue_date, date '9999-12-31') as valid_to
from prices
inner join catalogue_days as days
    on
        prices.source_name = days.source_name
        and prices.catalogue_name = days.catalogue_name
        and prices.provider_id = days.provider_id
        and prices.region_id = days.region_id
        and prices.catalogue_date = days.catalogue_date
