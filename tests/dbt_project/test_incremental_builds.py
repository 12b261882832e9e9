"""Months that arrive object by object: after every build the warehouse is what a full refresh makes (law 11)."""

import random
from collections.abc import Iterable
from datetime import date
from pathlib import Path

import pytest

from tests.dbt_project.lake_home import Arrival, LakeHome
from tests.dbt_project.months_company import MOVES, config, list_objects

pytestmark = pytest.mark.slow

LOGS = {"litellm_requests", "provider_results"}


def land_all(home: LakeHome, arrivals: Iterable[Arrival]) -> None:
    for arrival in arrivals:
        home.land(arrival)


def compare(home: LakeHome) -> None:
    """Row by row, every model that holds all keys."""
    found, expected = home.read_models(), home.rebuild().read_models()
    assert found.keys() == expected.keys()
    wrong = {
        name: f"{(found[name] - rows).total()} rows too many, {(rows - found[name]).total()} missing"
        for name, rows in expected.items()
        if found[name] != rows
    }
    assert wrong == {}


@pytest.fixture(scope="module")
def months(tmp_path_factory: pytest.TempPathFactory) -> LakeHome:
    """Three months; then what came late for the first, and at last a second day of November's logs, which touches
    November alone."""
    home = LakeHome(tmp_path_factory.mktemp("months") / "home")
    late = [arrival for arrival in list_objects(["september"]) if arrival.keys() & {*LOGS, "dcgm_samples"}]
    last = [arrival for arrival in list_objects(["november"]) if arrival.keys() & LOGS]
    home.land(config())
    land_all(home, [arrival for arrival in list_objects(MOVES) if arrival not in late and arrival not in last])
    home.build()
    land_all(home, late)
    home.build()
    land_all(home, last)
    home.build()
    assert home.read("from raw.touched_periods") == [(date(2026, 11, 1),)]
    return home


def test_months_that_a_build_leaves_alone_are_as_a_full_refresh_makes_them(months: LakeHome) -> None:
    compare(months)


def test_all_laws_hold_over_months_that_were_not_built_together(months: LakeHome) -> None:
    months.check("test_type:singular")


def test_a_model_that_names_touched_parents_builds_touched_keys_alone(months: LakeHome) -> None:
    """And so does every other one, whatever it filters by."""
    assert months.read_foreign_keys() == {}


@pytest.mark.long
@pytest.mark.parametrize("seed", range(3))
def test_objects_in_any_order_leave_what_a_full_refresh_makes(tmp_path: Path, seed: int) -> None:
    """In four builds; some objects come twice, first without some of their rows."""
    chance = random.Random(seed)
    home = LakeHome(tmp_path / "home")
    home.land(config())
    arrivals = [*list_objects(MOVES)]
    for arrival in chance.sample(arrivals, len(arrivals) // 4):
        ((table_name, objects),) = arrival.items()
        arrivals.append({table_name: {uri: [*rows][::2] for uri, rows in objects.items()}})
    chance.shuffle(arrivals)
    for part in range(4):
        land_all(home, arrivals[part::4])
        home.build()
    home.check("test_type:singular")
    compare(home)
