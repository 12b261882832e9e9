"""Prices of one entry of a catalogue, each layout in its own words."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from ingest.values import round_money

_ASSET_PARTS: Final = {"node": "instance", "gpu": "gpu"}


class PriceError(Exception):
    """An entry that cannot be landed."""

    def __init__(self, field: str | None, reason: str, found: str = "") -> None:
        super().__init__(reason)
        self.field = field
        self.reason = reason
        self.found = found


def read_skypilot(line: Mapping[str, str]) -> Sequence[Mapping[str, Any]]:
    """A line of SkyPilot's `vms.csv`: USD an hour for the whole machine; without one (GCP) for the GPUs alone."""
    common = {
        "catalogue": "skypilot",
        "region": line["Region"] or None,
        "zone": line.get("AvailabilityZone") or None,
        "instance_type": line["InstanceType"] or None,
        "priced_part": "instance" if line["InstanceType"] else "gpu",
        "gpu_model": line["AcceleratorName"] or None,
        "gpu_count": read_size(line.get("AcceleratorCount")),
        "vcpu_count": read_size(line.get("vCPUs")),
        "memory_gib": read_size(line.get("MemoryGiB")),
    }
    # A price of GPUs alone is for all of the line's; elsewhere it is for one.
    shares = 1 if line["InstanceType"] else common["gpu_count"] or 1
    return _on_demand_and_spot(common, line, "Price", "SpotPrice", shares)


def read_cloud_gpus(line: Mapping[str, str]) -> Sequence[Mapping[str, Any]]:
    """A line of the cloud-gpus table."""
    common = {
        "catalogue": "cloud_gpus",
        "provider": line["Cloud"] or None,
        "instance_type": line["Name"] or None,
        "priced_part": "instance",
        "gpu_model": line["GPU Type"] or None,
        "gpu_count": read_size(line.get("GPUs")),
        "vcpu_count": read_size(line.get("vCPUs")),
        "memory_gib": read_size(line.get("RAM")),
    }
    return _on_demand_and_spot(common, line, "On-demand", "Spot", 1)


def read_opencost(line: Mapping[str, str]) -> Sequence[Mapping[str, Any]]:
    """A line of OpenCost's pricing CSV: a node, or one GPU; other assets are no machines."""
    part = _ASSET_PARTS.get(line["AssetClass"].lower())
    if part is None:
        return []
    ended = line["EndTimestamp"].removesuffix(" UTC")
    try:
        as_of = datetime.fromisoformat(ended) if ended else None
    except ValueError:
        raise PriceError("EndTimestamp", "not a time: expected 2026-10-01 00:00:00 UTC", ended[:64]) from None
    name = line["InstanceID"]
    return [
        {
            "catalogue": "opencost",
            "region": line.get("Region") or None,
            "instance_type": line.get("InstanceType") or (name if part == "instance" else None),
            "gpu_model": name if part == "gpu" else None,
            "description": line.get("InstanceIDField") or None,
            "price_kind": "on_demand",
            "priced_part": part,
            "gpu_count": 1.0 if part == "gpu" else None,
            "tier_start_units": 0.0,
            "usd_per_hour": read_price("MarketPriceHourly", line["MarketPriceHourly"]),
            "as_of": as_of if as_of is None or as_of.tzinfo is None else as_of.astimezone(UTC).replace(tzinfo=None),
        }
    ]


def read_cloudprice(document: Mapping[str, Any]) -> Iterator[Sequence[Mapping[str, Any]] | PriceError]:
    """Every machine of every cloud of a cloudprice document."""
    as_of = datetime.fromisoformat(str(document["as_of"]))
    for provider, cloud in document.items():
        if not isinstance(cloud, dict) or not isinstance(cloud.get("instances"), list):
            continue
        for machine in cloud["instances"]:
            common = {
                "catalogue": "cloudprice",
                "as_of": as_of,
                "provider": provider,
                "region": machine.get("region") or cloud.get("region"),
                "instance_type": machine.get("sku"),
                "priced_part": "instance",
                "gpu_model": machine.get("gpu_type"),
                "gpu_count": read_size(machine.get("gpu_count")),
                "vcpu_count": read_size(machine.get("vcpus")),
                "memory_gib": read_size(machine.get("memory_gb")),
            }
            try:
                yield _on_demand_and_spot(common, machine, "hourly_usd", "spot_hourly_usd", 1)
            except PriceError as error:
                yield error


def _on_demand_and_spot(
    common: Mapping[str, Any], entry: Mapping[str, Any], on_demand: str, spot: str, shares: float
) -> list[dict[str, Any]]:
    """The prices that are there; without a spot price there is no spot. Raises `PriceError` for an entry without."""
    rows: list[dict[str, Any]] = [
        {**common, "tier_start_units": 0.0, "price_kind": kind, "usd_per_hour": read_price(name, entry[name], shares)}
        for kind, name in (("on_demand", on_demand), ("spot", spot))
        if entry.get(name) not in (None, "")
    ]
    if not rows:
        raise PriceError(on_demand, "empty: neither a price on demand nor a spot price")
    return rows


def read_price(field: str, value: Any, shares: float = 1) -> Decimal:
    """USD an hour of one of `shares`. Raises `PriceError`."""
    try:
        price = Decimal(str(value).strip().removeprefix("$").replace(",", ""))
        if price < 0:
            raise ValueError
        return round_money(price / Decimal(str(shares)))
    except (InvalidOperation, ValueError):
        raise PriceError(field, "not a price: expected USD an hour, such as 2.49", str(value)[:64]) from None


def read_size(value: Any) -> float | None:
    """A size; ranges and words are none."""
    try:
        return None if value in (None, "") else float(value)
    except ValueError:
        return None
