"""Splits foot by construction: law 3, tried on any sign, weight, tie and size."""

from collections.abc import Mapping
from decimal import ROUND_FLOOR, Decimal
from random import Random

import duckdb
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.dbt_project.macro_renderer import render

NANO = Decimal("0.000000001")
SPLIT = render(
    "split_usd('shares', parent=['parent_key'], weight='weight', tie='share_key',"
    " amounts=['billed_cost_usd', 'list_cost_usd'])"
)

USD = render("usd('cast(? as decimal(38, 18))')")
SHARES = pa.schema(
    [
        ("parent_key", pa.string()),
        ("share_key", pa.string()),
        ("billed_cost_usd", pa.decimal128(18, 9)),
        ("list_cost_usd", pa.decimal128(18, 9)),
        ("weight", pa.int64()),
    ]
)

amounts_usd = st.decimals(min_value=-(10**8), max_value=10**8, places=9)
weight_lists = st.lists(st.integers(min_value=0, max_value=10**15), min_size=1, max_size=40)


def split(
    parents: Mapping[str, tuple[Decimal, Decimal | None, list[int]]], shuffle: Random | None = None
) -> dict[str, list[tuple]]:
    """Shares of each parent in the order of its weights, whatever order the engine reads the rows in."""
    rows = [
        (key, f"{position:06}", billed, listed, weight)
        for key, (billed, listed, weights) in parents.items()
        for position, weight in enumerate(weights)
    ]
    if shuffle:
        shuffle.shuffle(rows)
    shares = pa.Table.from_pylist([dict(zip(SHARES.names, row, strict=True)) for row in rows], schema=SHARES)
    with duckdb.connect() as connection:
        connection.register("shares", shares)
        found = connection.execute(
            "select parent_key, split_billed_cost_usd, split_list_cost_usd, is_even_split"
            f" from ({SPLIT}) order by parent_key, share_key"
        ).fetchall()
    by_parent: dict[str, list[tuple]] = {key: [] for key in parents}
    for parent, *share in found:
        by_parent[parent].append(tuple(share))
    return by_parent


def largest_remainder(amount: Decimal, weights: list[int]) -> list[Decimal]:
    """Hamilton's method in plain Python, after domain references on apportionment."""
    if sum(weights) == 0:
        weights = [1] * len(weights)
    total = int(abs(amount) / NANO)
    floors = [total * weight // sum(weights) for weight in weights]
    order = sorted(range(len(weights)), key=lambda i: (-(total * weights[i] - floors[i] * sum(weights)), i))
    for i in order[: total - sum(floors)]:
        floors[i] += 1
    sign = -1 if amount < 0 else 1
    return [sign * part * NANO for part in floors]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(amounts_usd, st.none() | amounts_usd, weight_lists), min_size=1, max_size=5))
@example([(Decimal("0.000000001"), None, [1, 1, 1])])
@example([(Decimal("-0.000000002"), Decimal("0"), [0, 0, 0])])
@example([(Decimal("-100.000000001"), Decimal("99999999.999999999"), [7, 7, 7, 0])])
def test_splits_foot_and_equal_the_reference_for_any_signs_weights_and_ties(cases):
    parents = {f"p{i}": case for i, case in enumerate(cases)}
    for key, shares in split(parents).items():
        billed, listed, weights = parents[key]
        assert sum(share[0] for share in shares) == billed
        assert [share[0] for share in shares] == largest_remainder(billed, weights)
        if listed is None:
            assert all(share[1] is None for share in shares)
        else:
            assert [share[1] for share in shares] == largest_remainder(listed, weights)
        assert all(share[2] is (sum(weights) == 0) for share in shares)


def test_no_share_is_off_by_a_whole_nano_dollar():
    weights = [3, 5, 11, 0, 13]
    (shares,) = split({"p": (Decimal("-17.123456789"), None, weights)}).values()
    for share, weight in zip(shares, weights, strict=True):
        exact = Decimal("-17.123456789") * weight / sum(weights)
        assert abs(share[0] - exact) < NANO


def test_ten_thousand_recipients_foot():
    weights = [i % 97 for i in range(10_000)]
    (shares,) = split({"p": (Decimal("1234.567890123"), Decimal("0.000009999"), weights)}).values()
    assert sum(share[0] for share in shares) == Decimal("1234.567890123")
    assert sum(share[1] for share in shares) == Decimal("0.000009999")


@settings(max_examples=4, deadline=None)
@given(amount=amounts_usd, seed=st.integers(0, 2**32), weight=st.sampled_from([0, 1, 10**15]))
@example(amount=-NANO, seed=0, weight=0)
def test_any_amount_over_ten_thousand_recipients_foots(amount, seed, weight):
    random = Random(seed)
    weights = [random.randint(0, weight) for _ in range(10_000)]
    (shares,) = split({"p": (amount, None, weights)}).values()
    assert sum(share[0] for share in shares) == amount
    assert {share[0].is_signed() for share in shares if share[0]} <= {amount.is_signed()}


@settings(max_examples=40, deadline=None)
@given(
    amount=amounts_usd | st.sampled_from([NANO, -NANO, 2 * NANO]),
    groups=st.lists(weight_lists, min_size=1, max_size=6),
)
@example(amount=NANO, groups=[[0, 0], [1], [1, 1, 1]])
def test_a_hierarchy_is_split_from_the_top_and_foots_on_every_level(amount, groups):
    (tops,) = split({"whole": (amount, None, [sum(weights) for weights in groups])}).values()
    parents = {f"{number:02}": (tops[number][0], None, weights) for number, weights in enumerate(groups)}
    leaves = split(parents)
    for key, (top, _, _) in parents.items():
        assert sum(share[0] for share in leaves[key]) == top
    assert sum(share[0] for shares in leaves.values() for share in shares) == amount


@settings(max_examples=40, deadline=None)
@given(amount=amounts_usd, weights=weight_lists, seed=st.integers(0, 2**32))
@example(amount=Decimal("0.000000002"), weights=[1, 1, 1], seed=1)
def test_a_credit_mirrors_its_charge_and_the_order_of_rows_decides_no_tie(amount, weights, seed):
    (charged,) = split({"p": (amount, None, weights)}).values()
    (credited,) = split({"p": (-amount, None, weights)}, shuffle=Random(seed)).values()
    assert [-share[0] for share in credited] == [share[0] for share in charged]


def test_a_single_recipient_takes_everything():
    (shares,) = split({"p": (Decimal("-5.5"), None, [0])}).values()
    assert [share[0] for share in shares] == [Decimal("-5.5")]


@pytest.mark.parametrize("amount", ["0.5", "-0.5", "1.5", "2.5"])
def test_usd_rounds_half_away_from_zero(amount):
    value = Decimal(amount) * NANO
    with duckdb.connect() as connection:
        row = connection.execute(f"select {USD}", [f"{value:.18f}"]).fetchone()
    nearest = (abs(Decimal(amount)) + Decimal("0.5")).to_integral_value(ROUND_FLOOR) * NANO
    assert row == (nearest.copy_sign(value),)
