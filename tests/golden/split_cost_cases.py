"""The split-cost cases that somebody else worked: charges and keys in, allocated costs out, read as they lie."""

import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

Instance = tuple[str, str]
"""A service and its instance, lower-cased."""

FOLDER = "cost_allocation_expected_results"


@dataclass(frozen=True)
class Charge:
    """A cloud charge: its service, tags and the two costs that the cases split."""

    service: str
    tags: dict[str, str]
    amortized: Decimal
    on_demand: Decimal


@dataclass(frozen=True)
class Key:
    """What one consumer takes of a provider, or, without a consumer, of what its consumers take by default."""

    provider: Instance
    consumer: Instance | None
    weight: Decimal
    product: str
    attributes: frozenset[tuple[str, str]]
    """Names of the product's dimensions and meters, by column."""
    selector: str
    consumer_tags: tuple[tuple[str, str], ...] = ()
    is_default_product: bool = False


@dataclass(frozen=True)
class Case:
    """One case: what is billed, how it is divided, and what is left for a service that names no product."""

    charges: list[Charge]
    keys: list[Key]
    default_product: str | None


def read_case(shared_data: Path, number: int) -> Case:
    """Charges and keys of a case. The cases from 8 on were worked with a default product and service."""
    charges = [_read_charge(row) for row in _rows(shared_data, number, "cloud_cost")]
    keys = [_read_key(row) for row in _rows(shared_data, number, "cost_allocation_keys")]
    return Case(charges, keys, default_product="p0" if number >= 8 else None)


def read_expected(shared_data: Path, number: int) -> Iterator[dict[str, str]]:
    """Rows of the answer that name a provider; those without one repeat the charges."""
    return (row for row in _rows(shared_data, number, "allocated_cost") if row["ProviderService"])


def selects(selector: str, tags: dict[str, str]) -> bool:
    """Whether a selector speaks for tags. Its text is read, never evaluated: the tag that must be there, then values
    any of which it may have."""
    (required,) = re.findall(r"'(\w+)' in globals\(\)", selector)
    return required in tags and any(
        tags.get(name) == value for name, value in re.findall(r"(\w+) == '(\w+)'", selector)
    )


def _rows(shared_data: Path, number: int, part: str) -> Iterator[dict[str, str]]:
    with (shared_data / FOLDER / f"test{number}_{part}.csv").open(newline="") as file:
        yield from csv.DictReader(file)


def _read_charge(row: dict[str, str]) -> Charge:
    # One file's tags are quoted twice over, so the pairs are looked for rather than parsed as JSON.
    tags = {name: value.lower() for name, value in re.findall(r'"(\w+)"+: "+([^"]*)"', row["Tags"])}
    is_focus = "EffectiveCost" in row
    return Charge(
        service=tags.get("service") or tags.get("application") or "s0",
        tags=tags,
        amortized=Decimal(row["EffectiveCost" if is_focus else "CostInBillingCurrency"]),
        on_demand=Decimal(row["ContractedCost" if is_focus else "CostInBillingCurrency"]),
    )


def _read_key(row: dict[str, str]) -> Key:
    cell = {name: (value or "").lower() for name, value in row.items()}
    service = cell["ProviderService"]
    provider = (service, cell.get("ProviderInstance") or service)
    is_default_product = cell.get("ProviderCostAllocationType") == "defaultproduct"
    consumer_service = cell.get("ConsumerService", "")
    product = cell.get("Product", "")
    consumer = (consumer_service, cell.get("ConsumerInstance") or consumer_service)
    if not consumer_service and product:
        consumer = provider
    return Key(
        provider=provider,
        consumer=None if is_default_product else consumer,
        weight=Decimal(cell["ProviderCostAllocationKey"]),
        product=product,
        attributes=frozenset(
            (name, value)
            for name, value in cell.items()
            if value and re.match(r"ProductDimension(Name|Element)|ProductMeterName", name)
        ),
        selector=cell.get("ProviderTagSelector", ""),
        consumer_tags=tuple(re.findall(r"(\w+):(\w+)", cell.get("ConsumerTags", ""))),
        is_default_product=is_default_product,
    )
