"""The landing table of list prices of machines and of their parts. A row is one price in one catalogue."""

from typing import Final

from ingest.landing_table import INSTANT, MONEY, NUMBER, TEXT, LandingTable

GPU_PRICES: Final = LandingTable(
    name="gpu_prices",
    columns=(
        ("catalogue", TEXT),  # skypilot | cloud_gpus | cloudprice | opencost | cloud_billing
        ("provider", TEXT),
        ("region", TEXT),
        ("zone", TEXT),
        ("instance_type", TEXT),
        ("sku_id", TEXT),
        ("description", TEXT),
        ("price_kind", TEXT),  # on_demand | spot | commit_1y | commit_3y
        ("priced_part", TEXT),  # instance | gpu | vcpu | gib
        ("gpu_model", TEXT),  # as the catalogue spells it
        ("gpu_count", NUMBER),  # a slice of a card is a fraction
        ("vcpu_count", NUMBER),
        ("memory_gib", NUMBER),
        ("tier_start_units", NUMBER),  # use from which the price holds; 0 of a price without tiers
        ("usd_per_hour", MONEY),  # of one priced part
        ("effective_at", INSTANT),  # since when, where the catalogue says it
        ("as_of", INSTANT),  # of the catalogue
    ),
    partition="usage_date",
)
