"""Shared-cost cases with answers that somebody else worked, reproduced with our own split, and where the ledger's chain
can say the same, by the chain. What fits and what does not is told case by case in docs/split_cost_oracle.md."""

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import replace
from decimal import Decimal
from graphlib import TopologicalSorter
from pathlib import Path
from typing import NamedTuple

import duckdb
import pyarrow as pa
import pytest

from tests.dbt_project.macro_renderer import render
from tests.golden.split_cost_cases import Case, Instance, Key, read_case, read_expected, selects

CASES = (2, 4, 6, 8, 10, 12)
AMOUNTS = ("amortized_usd", "on_demand_usd", "own_amortized_usd", "own_on_demand_usd")
"""The two costs of a line, and of each the part that reached its service outside any product."""
FOUR_PLACES = Decimal("0.0001")
SPLIT = render(f"split_usd('shares', parent=['line'], weight='weight', tie='position', amounts={list(AMOUNTS)})")
SHARES = pa.schema(
    {
        "line": pa.int64(),
        "position": pa.int64(),
        **{name: pa.decimal128(18, 9) for name in AMOUNTS},
        "weight": pa.int64(),
    }
)

Dollars = tuple[Decimal, ...]


class Line(NamedTuple):
    """Dollars that arrived at a service: a charge with its tags, or what it takes of another, maybe for a product."""

    dollars: Dollars
    tags: dict[str, str]
    key: Key | None = None


def split(lines: list[Dollars], weights: list[list[Decimal]]) -> list[list[Dollars]]:
    """Each line's dollars over its own weights, by the macro; keys of up to 6 decimals become the integers it takes."""
    rows = [
        (number, position, *dollars, int(weight * 10**6))
        for number, (dollars, shares) in enumerate(zip(lines, weights, strict=True))
        for position, weight in enumerate(shares)
    ]
    shares = pa.Table.from_pylist([dict(zip(SHARES.names, row, strict=True)) for row in rows], schema=SHARES)
    columns = ", ".join(f"split_{name}" for name in AMOUNTS)
    with duckdb.connect() as connection:
        connection.register("shares", shares)
        found = connection.execute(f"select line, {columns} from ({SPLIT}) order by line, position").fetchall()
    return [[row[1:] for row in found if row[0] == number] for number in range(len(lines))]


def usable_keys(case: Case) -> list[Key]:
    """The keys that count: a negative one is refused, and an instance takes nothing of a sister of its own service
    unless it is a product. A consumer's tags hand what it takes on to a product."""
    kept = [
        key
        for key in case.keys
        if key.weight >= 0
        and (key.product or key.consumer in (None, key.provider) or key.consumer[0] != key.provider[0])
    ]
    handed_on = [
        replace(
            key,
            provider=key.consumer,
            consumer=(service, service),
            weight=Decimal(1),
            product=tags["product"],
            selector="",
            consumer_tags=(),
        )
        for key in kept
        for tags in [dict(key.consumer_tags)]
        if key.consumer and "product" in tags
        for service in [tags.get("consumer_service", key.consumer[0])]
    ]
    return kept + handed_on


def keys_for(line: Line, keys: list[Key]) -> list[Key]:
    """The keys a line is divided over: those of its product with the same dimensions and meters, if there are any."""
    if line.key and line.key.product:
        taken = line.key
        same = [key for key in keys if key.product == taken.product and _agree(key, taken)]
        return same or keys
    return keys


def _agree(key: Key, taken: Key) -> bool:
    own = dict(key.attributes)
    return all(own.get(name) == value for name, value in taken.attributes)


def divide(lines: list[Line], keys: list[Key], defaults: list[Key]) -> dict[Key, Dollars]:
    """What each key takes of all lines: over the tag selectors, then over the keys, then over default products."""
    taken: dict[Key, Dollars] = defaultdict(lambda: (Decimal(0),) * len(AMOUNTS))
    candidates = [keys_for(line, keys) for line in lines]
    selectors = [sorted({key.selector for key in line_keys}) for line_keys in candidates]
    # What no selector speaks for is for the keys without one; where there are none, the zero weights make it even.
    spoken = [
        [Decimal(bool(text) and selects(text, line.tags)) for text in texts]
        for line, texts in zip(lines, selectors, strict=True)
    ]
    weights = [
        [Decimal(not any(flags)) if text == "" else flag for text, flag in zip(texts, flags, strict=True)]
        for texts, flags in zip(selectors, spoken, strict=True)
    ]
    selected = [
        (dollars, [key for key in line_keys if key.selector == text])
        for line_keys, texts, shares in zip(
            candidates, selectors, split([line.dollars for line in lines], weights), strict=True
        )
        for text, dollars in zip(texts, shares, strict=True)
    ]
    by_key = split([dollars for dollars, _ in selected], [[key.weight for key in group] for _, group in selected])
    shares = [
        (key, part)
        for (_, group), parts in zip(selected, by_key, strict=True)
        for key, part in zip(group, parts, strict=True)
    ]
    products = [
        [key] if key.product or not defaults else [_with_product(key, default) for default in defaults]
        for key, _ in shares
    ]
    product_weights = [
        [default.weight for default in defaults] if len(group) == len(defaults) else [Decimal(1)] for group in products
    ]
    by_product = split([dollars for _, dollars in shares], product_weights)
    for group, parts in zip(products, by_product, strict=True):
        for key, dollars in zip(group, parts, strict=True):
            taken[key] = tuple(a + b for a, b in zip(taken[key], dollars, strict=True))
    return taken


def _with_product(key: Key, default: Key) -> Key:
    return replace(key, product=default.product, attributes=default.attributes)


def allocate(case: Case) -> Iterable[tuple[Key, Dollars]]:
    """Every dollar from its charge down to where no key takes it further, service by service."""
    keys = usable_keys(case)
    arrived: dict[Instance, list[Line]] = defaultdict(list)
    for charge in case.charges:
        costs = (charge.amortized, charge.on_demand)
        arrived[charge.service, charge.service].append(Line((*costs, *costs), charge.tags))
    feeds = TopologicalSorter(
        {
            instance: {key.provider for key in keys if key.consumer == instance and key.provider != instance}
            for instance in {*arrived, *(key.consumer for key in keys if key.consumer)}
        }
    )
    for instance in feeds.static_order():
        own = [key for key in keys if key.provider == instance and not key.is_default_product]
        defaults = [key for key in keys if key.provider[0] == instance[0] and key.is_default_product]
        final = Key(instance, instance, Decimal(1), "", frozenset(), "")
        if not own and (defaults or case.default_product):
            own = [final if defaults else replace(final, product=case.default_product or "")]
        if case.default_product and not defaults:
            # What a service takes of itself goes no further, so that it has to be for some product.
            own = [
                replace(key, product=case.default_product) if not key.product and key.consumer == instance else key
                for key in own
            ]
        if not own:
            continue
        for key, dollars in divide(arrived[instance], own, defaults).items():
            yield key, dollars
            if key.consumer and key.consumer != instance:
                amortized, on_demand, own_amortized, own_on_demand = dollars
                outside = (Decimal(0), Decimal(0)) if key.product else (own_amortized, own_on_demand)
                arrived[key.consumer].append(Line((amortized, on_demand, *outside), {}, key))


def as_rows(shares: Iterable[tuple[Key, Dollars]]) -> Counter[tuple]:
    """Shares in the columns of the answers, at their four places."""
    rows = []
    for key, dollars in shares:
        assert key.consumer
        own, product = (dollars[2:], (None, None)) if not key.product else ((Decimal(0), Decimal(0)), dollars[2:])
        amounts = (*dollars[:2], *own, *product)
        rows.append((*key.consumer, *key.provider, key.product, *map(_four_places, amounts)))
    return Counter(rows)


def _four_places(amount: Decimal | None) -> Decimal | None:
    return None if amount is None else amount.quantize(FOUR_PLACES)


def expected_rows(shared_data: Path, number: int) -> Counter[tuple]:
    """The answers of a case."""
    names = ["Service", "Instance", "ProviderService", "ProviderInstance", "Product"]
    amounts = ["AmortizedCost", "OnDemandCost", "ServiceProductAmortizedCost", "ServiceProductOnDemandCost"]
    amounts += ["ProductAmortizedCost", "ProductOnDemandCost"]
    return Counter(
        (
            *(row[name] for name in names),
            *(_four_places(Decimal(row[name]) if row[name] else None) for name in amounts),
        )
        for row in read_expected(shared_data, number)
    )


@pytest.mark.parametrize("number", CASES)
def test_our_split_gives_the_answers_of_the_case(shared_data, number):
    found = as_rows(allocate(read_case(shared_data, number)))
    assert found == expected_rows(shared_data, number)
