"""The landing tables of list prices in catalogues: of machines and their parts, and of models. A row is one price."""

from typing import Final

from ingest import ranges
from ingest.landing_table import COUNT, INSTANT, MONEY, NUMBER, RATE, TEXT, LandingTable

GPU_PRICES: Final = LandingTable(
    name="gpu_prices",
    columns=(
        ("catalogue", TEXT),  # aws_price_list | skypilot | cloud_gpus | cloudprice | opencost | cloud_billing
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
    ranges={
        **dict.fromkeys(("gpu_count", "vcpu_count", "memory_gib"), ranges.UNITS),
        "tier_start_units": ranges.QUANTITY,
        "usd_per_hour": ranges.USD_PER_HOUR,
    },
)

LLM_CATALOGUE_PRICES: Final = LandingTable(
    name="llm_catalogue_prices",
    columns=(
        ("catalogue", TEXT),  # litellm | portkey | genai_prices
        ("provider", TEXT),  # as a gateway names it
        ("model", TEXT),
        ("token_class", TEXT),  # as in llm_prices
        ("tier_start_tokens", COUNT),
        ("usd_per_mtok", RATE),
        ("as_of", INSTANT),  # of the catalogue
    ),
    partition="usage_date",
    ranges={"tier_start_tokens": ranges.TIER_TOKENS, "usd_per_mtok": ranges.USD_PER_MTOK},
)
