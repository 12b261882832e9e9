"""Two months that arrive object by object: after every build the warehouse is what a full refresh makes (law 11)."""

from collections.abc import Iterable

import pytest

from tests.dbt_project.lake_home import Arrival, LakeHome
from tests.dbt_project.months_company import config, list_objects

pytestmark = pytest.mark.slow


def land_all(home: LakeHome, arrivals: Iterable[Arrival]) -> None:
    for arrival in arrivals:
        home.land(arrival)


def compare(home: LakeHome) -> None:
    """Row by row, every model that holds all keys."""
    made_anew = home.rebuild()
    found, expected = home.read_models(), made_anew.read_models()
    assert found.keys() == expected.keys()
    wrong = {
        name: f"{(found[name] - rows).total()} rows too many, {(rows - found[name]).total()} missing"
        for name, rows in expected.items()
        if found[name] != rows
    }
    assert wrong == {}


@pytest.fixture(scope="module")
def two_months(tmp_path_factory: pytest.TempPathFactory) -> LakeHome:
    """September, then October, and last of all what came late for September."""
    home = LakeHome(tmp_path_factory.mktemp("months") / "home")
    home.land(config())
    september, october = list_objects(["september"]), list_objects(["october"])
    late = [arrival for arrival in september if not arrival.keys() & {"focus_charges", "opencost_allocations"}]
    land_all(home, [arrival for arrival in september if arrival not in late])
    home.build()
    land_all(home, october)
    home.build()
    land_all(home, late)
    home.build()
    return home


def test_a_late_log_of_last_month_leaves_the_warehouse_as_a_full_refresh_makes_it(two_months: LakeHome) -> None:
    compare(two_months)


def test_all_laws_hold_over_months_that_were_not_built_together(two_months: LakeHome) -> None:
    two_months.check("test_type:singular")


def test_a_model_that_names_touched_parents_builds_touched_keys_alone(two_months: LakeHome) -> None:
    """And so does every other one, whatever it filters by."""
    assert two_months.read_foreign_keys() == {}
