"""Which build the warehouse holds, also after one that failed."""

import shutil
from pathlib import Path

import duckdb
import pytest

from ingest.home import Home, create_home
from orchestration.build_state import NotBuiltError, begin_build, end_build, plan_build, read_built


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return create_home(tmp_path / "home")


def test_a_build_counts_once_it_has_ended(home: Home):
    with pytest.raises(NotBuiltError, match="holds no build"):
        read_built(home)
    plan = plan_build(home, full_refresh=False)
    begin_build(home)
    with pytest.raises(NotBuiltError, match="holds no build"):
        read_built(home)
    end_build(home, plan)
    assert read_built(home) == plan.build_id


def test_an_unfinished_build_takes_the_last_whole_one_from_the_publisher(home: Home):
    end_build(home, plan_build(home, full_refresh=False))
    begin_build(home)
    with pytest.raises(NotBuiltError, match="failed or was killed"):
        read_built(home)


def test_a_plan_that_finds_nothing_new_leaves_the_build_as_it_is(home: Home):
    first = plan_build(home, full_refresh=False)
    end_build(home, first)
    assert plan_build(home, full_refresh=False).is_empty
    assert read_built(home) == first.build_id


def test_what_an_unfinished_build_began_on_is_redone_even_when_the_lake_is_back_to_before(home: Home):
    end_build(home, plan_build(home, full_refresh=False))
    plan_build(home, full_refresh=False)
    begin_build(home)
    with duckdb.connect(str(home.warehouse_path)) as warehouse:
        # The day of a delivery that was withdrawn again after the build that read it was killed.
        warehouse.execute("insert into raw.touched_days values ('2026-10-02')")
    assert plan_build(home, full_refresh=False).is_full_refresh


def test_an_unfinished_build_is_redone_even_when_nothing_is_touched(home: Home):
    end_build(home, plan_build(home, full_refresh=False))
    begin_build(home)
    plan = plan_build(home, full_refresh=False)
    assert plan.is_full_refresh
    end_build(home, plan)
    assert plan_build(home, full_refresh=False).is_empty


def test_an_unfinished_build_stays_known_when_state_is_lost(home: Home):
    end_build(home, plan_build(home, full_refresh=False))
    begin_build(home)
    shutil.rmtree(home.state_dir)
    with pytest.raises(NotBuiltError, match="failed or was killed"):
        read_built(home)
    assert plan_build(home, full_refresh=False).is_full_refresh


def test_a_build_that_an_earlier_release_left_unfinished_is_redone(home: Home):
    end_build(home, plan_build(home, full_refresh=False))
    (home.state_dir / "dbt" / "build-unfinished").touch()
    with pytest.raises(NotBuiltError, match="failed or was killed"):
        read_built(home)
    plan = plan_build(home, full_refresh=False)
    assert plan.is_full_refresh
    end_build(home, plan)
    assert read_built(home) == plan.build_id
