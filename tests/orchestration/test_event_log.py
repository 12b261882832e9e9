"""Dagster's record of a home: written over connections that stay open, read by whatever opens it."""

import sqlite3
from pathlib import Path

import dagster as dg
import pytest

from ingest.home import Home, create_home
from orchestration.event_log import PooledEventLogStorage
from orchestration.runs import open_instance, prepare_instance_dir


@dg.asset(check_specs=[dg.AssetCheckSpec("is_right", asset="number")])
def number() -> dg.MaterializeResult:
    return dg.MaterializeResult(metadata={"rows": 3}, check_results=[dg.AssetCheckResult(passed=True)])


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return create_home(tmp_path / "home")


def test_what_a_run_did_is_read_by_another_process_and_by_dagsters_own_storage(home: Home) -> None:
    with open_instance(home) as instance:
        assert dg.materialize([number], instance=instance).success
    with open_instance(home) as instance:
        assert isinstance(instance.event_log_storage, PooledEventLogStorage)
        (run,) = instance.get_runs()
        event = instance.get_latest_materialization_event(dg.AssetKey("number"))
        assert event is not None and event.run_id == run.run_id
        logged = {event.dagster_event_type for event in instance.all_logs(run.run_id)}
        assert logged >= {dg.DagsterEventType.STEP_SUCCESS, dg.DagsterEventType.RUN_SUCCESS}
    with dg.DagsterInstance.local_temp(str(home.dagster_dir)) as plain:
        assert plain.get_latest_materialization_event(dg.AssetKey("number")) is not None


def test_connections_are_kept_and_closed_with_the_instance(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    connect = sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", lambda *given, **named: opened.append(given[0]) or connect(*given, **named))
    with open_instance(home) as instance:
        dg.materialize([number], instance=instance)
        first = len([path for path in opened if "/runs/" in path])
        opened.clear()
        for _ in range(3):
            instance.get_latest_materialization_event(dg.AssetKey("number"))
        assert first < 12 and not [path for path in opened if "/runs/index" in path]


def test_a_home_that_moved_keeps_its_record(home: Home, tmp_path: Path) -> None:
    with open_instance(home) as instance:
        dg.materialize([number], instance=instance)
    moved = home.path.rename(tmp_path / "moved")
    with open_instance(Home(moved)) as instance:
        assert len(instance.get_runs()) == 1
    assert str(moved) in (prepare_instance_dir(Home(moved)) / "dagster.yaml").read_text()
