-- One row per zone, sector, currency and interval: the price that was published last.
select
    zone_id,
    sector_name,
    currency_code,
    starts_at,
    ends_at,
    price_per_kwh,
    layout_name,
    published_at
from {{ ref('stg_grid__electricity_prices') }}
qualify row_number() over (
    partition by zone_id, sector_name, currency_code, starts_at, ends_at
    order by published_at desc nulls last, object_uri, object_position
) = 1
