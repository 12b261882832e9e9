-- One row per zone, basis, factor type and interval: what was published last, a measurement before an estimate.
select
    zone_id,
    basis,
    factor_type,
    starts_at,
    ends_at,
    gco2e_per_kwh,
    is_estimated,
    layout_name,
    published_at
from {{ ref('stg_grid__carbon_intensities') }}
qualify row_number() over (
    partition by zone_id, basis, factor_type, starts_at, ends_at
    order by is_estimated, published_at desc nulls last, object_uri, object_position
) = 1
