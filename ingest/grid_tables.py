"""The landing tables of what a grid's electricity costs and emits. A row is one figure of one interval in one zone."""

from typing import Final

from ingest import ranges
from ingest.landing_table import FLAG, INSTANT, MONEY, RATE, TEXT, LandingTable

CARBON_INTENSITY: Final = LandingTable(
    name="carbon_intensity",
    columns=(
        # contract | electricity_maps | codecarbon_regions | codecarbon_countries | codecarbon_usa | ccf_aws
        ("layout", TEXT),
        ("zone", TEXT),
        ("starts_at", INSTANT),
        ("ends_at", INSTANT),
        ("gco2e_per_kwh", RATE),
        ("factor_type", TEXT),  # lifecycle | direct; null where it is not said
        ("basis", TEXT),  # location | market
        ("is_estimated", FLAG),
        ("published_at", INSTANT),
    ),
    partition="usage_date",
    ranges={"gco2e_per_kwh": ranges.GRAMS_PER_KWH},
)

ELECTRICITY_PRICES: Final = LandingTable(
    name="electricity_prices",
    columns=(
        ("layout", TEXT),  # contract | eia | eia_states | electricity_maps
        ("zone", TEXT),
        ("sector", TEXT),  # COM, IND, RES, ALL of retail prices; null of a market's
        ("starts_at", INSTANT),
        ("ends_at", INSTANT),
        ("price_per_kwh", MONEY),
        ("currency", TEXT),
        ("published_at", INSTANT),
    ),
    partition="usage_date",
    ranges={"price_per_kwh": ranges.PRICE_PER_KWH},
)
