"""Prices in a SKU of Google's Cloud Billing Catalog, as its REST API spells it.

Source: `services.skus.list` of cloudbilling.googleapis.com. A price is `units` + `nanos` / 10^9 a usage unit. Compute
Engine prices a GPU, a vCPU and a GiB apart: a machine is the sum of its parts.
"""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final

from ingest.reference.gpu_price_layouts import PriceError
from ingest.values import round_money

_PARTS: Final = {"GPU": ("gpu", "h"), "CPU": ("vcpu", "h"), "RAM": ("gib", "GiBy.h")}
_KINDS: Final = {"OnDemand": "on_demand", "Preemptible": "spot", "Commit1Yr": "commit_1y", "Commit3Yr": "commit_3y"}
_MODEL: Final = re.compile(r"\b((?:RTX (?:PRO )?\d+|[A-Z]{1,2}\d{1,3})(?: \d+GB)?(?: Mega| Plus)?(?: \d+GB)?)\b")
_SPOT_TEXT: Final = "Spot Preemptible"


def is_priced_part(resource_group: str) -> bool:
    """Whether SKUs of the group price GPUs, vCPUs or memory."""
    return resource_group in _PARTS


def read_sku(sku: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    """A row per region, price version and tier; none for what is no part of a machine. Raises `PriceError`."""
    category = sku.get("category")
    if not isinstance(category, Mapping) or not isinstance(sku.get("pricingInfo"), list):
        raise PriceError("category", "no SKU of the Cloud Billing Catalog", str(sku)[:64])
    group, usage_type = str(category.get("resourceGroup")), str(category.get("usageType"))
    if not is_priced_part(group) or usage_type not in _KINDS:
        return []
    part, unit = _PARTS[group]
    description = str(sku.get("description", ""))
    model = _MODEL.search(description.removeprefix(f"{_SPOT_TEXT} ")) if part == "gpu" else None
    common = {
        "catalogue": "cloud_billing",
        "provider": "gcp",
        "sku_id": sku.get("skuId"),
        "description": description,
        # Some spot prices say so in their text alone.
        "price_kind": "spot" if description.startswith(_SPOT_TEXT) else _KINDS[usage_type],
        "priced_part": part,
        "gpu_model": model[1].strip() if model else None,
        "gpu_count": 1.0 if part == "gpu" else None,
        "as_of": _read_time(sku, "asOf"),
    }
    prices = [{**common, **price} for version in sku["pricingInfo"] for price in _read_version(version, unit)]
    regions = sku.get("serviceRegions") or [None]
    return [{**price, "region": region} for region in regions for price in prices]


def _read_version(version: Mapping[str, Any], unit: str) -> list[dict[str, Any]]:
    expression = version.get("pricingExpression") or {}
    if expression.get("usageUnit") != unit:
        raise PriceError("usageUnit", f"expected {unit}", str(expression.get("usageUnit")))
    effective_at = _read_time(version, "effectiveTime")
    rows: list[dict[str, Any]] = []
    for rate in expression.get("tieredRates", []):
        price = rate.get("unitPrice") or {}
        if price.get("currencyCode") != "USD":
            raise PriceError("currencyCode", "prices are not in USD", str(price.get("currencyCode")))
        amount = Decimal(str(price.get("units") or 0)) + Decimal(str(price.get("nanos") or 0)).scaleb(-9)
        rows.append(
            {
                "effective_at": effective_at,
                "tier_start_units": float(rate.get("startUsageAmount") or 0),
                "usd_per_hour": round_money(amount),
            }
        )
    if not rows:
        raise PriceError("tieredRates", "empty: a SKU without a price")
    return rows


def _read_time(record: Mapping[str, Any], field: str) -> datetime | None:
    text = record.get(field)
    try:
        return datetime.fromisoformat(str(text)).astimezone(UTC).replace(tzinfo=None) if text else None
    except ValueError:
        raise PriceError(field, "not a time", str(text)[:64]) from None
