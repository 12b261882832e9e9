"""Dagster's own jobs, schedule and sensor, end to end on a home: on days with news and on days without."""

import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
import pytest

from ingest.home import Home
from orchestration.assets.delivery import DAILY_EMAILS, PUBLISHED_MARTS, REPORT
from orchestration.resources import HomeResource
from orchestration.runs import open_instance
from orchestration.schedules import DAILY
from orchestration.sensors import new_objects
from tests.orchestration.commands import make_environment
from tests.orchestration.test_run import add_requests, count_dbt_runs, published_build

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture
def definitions(built_home: Home, monkeypatch: pytest.MonkeyPatch) -> dg.Definitions:
    monkeypatch.setenv("WATTLEDGER_HOME", str(built_home.path))
    from orchestration.definitions import make_definitions  # which reads the variable

    return make_definitions(built_home)


@pytest.fixture
def instance(built_home: Home) -> Iterator[dg.DagsterInstance]:
    with open_instance(built_home) as opened:
        yield opened


def run_job(definitions: dg.Definitions, instance: dg.DagsterInstance, name: str) -> set[dg.AssetKey]:
    """Run a job to its end; returns what it materialised."""
    result = definitions.resolve_job_def(name).execute_in_process(instance=instance, raise_on_error=False)
    assert result.success, [event.message for event in result.all_events if event.is_failure]
    return {event.asset_key for event in result.all_events if event.is_step_materialization and event.asset_key}


def list_emails(home: Home) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in home.outbox_dir.rglob("*.eml")}


def test_the_daily_job_on_a_day_without_news_confirms_every_mart_and_writes_the_emails(
    built_home: Home, definitions: dg.Definitions, instance: dg.DagsterInstance
):
    before = published_build(built_home), count_dbt_runs(built_home)
    assert list_emails(built_home) == {}
    made = run_job(definitions, instance, "everything")
    assert {PUBLISHED_MARTS, REPORT, DAILY_EMAILS, dg.AssetKey(["marts", "fct_cost_ledger"])} <= made
    assert (published_build(built_home), count_dbt_runs(built_home)) == before
    emails = list_emails(built_home)
    assert emails
    # The same day once more, as Dagster's own command runs it, writes nothing else.
    ran = subprocess.run(
        [
            str(Path(sys.executable).with_name("dagster")),
            *("job", "execute", "-m", "orchestration.definitions", "-j", "everything"),
        ],
        cwd=REPOSITORY,
        env=make_environment(built_home),
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, (ran.stdout + ran.stderr)[-5000:]
    assert "RUN_SUCCESS" in ran.stdout + ran.stderr
    assert list_emails(built_home) == emails


def test_when_the_daily_job_fails_the_emails_go_out_on_what_is_published(
    built_home: Home, definitions: dg.Definitions, instance: dg.DagsterInstance
):
    (built_home.report_dir / "index.html").unlink()
    built_home.sources_path.write_text("sources: 3\n")
    job = definitions.resolve_job_def("everything")
    assert not job.execute_in_process(instance=instance, raise_on_error=False).success
    assert list_emails(built_home)
    assert (built_home.report_dir / "index.html").exists()


def test_the_schedules_tick_asks_for_the_daily_job(definitions: dg.Definitions):
    at = datetime(2026, 10, 4, 6, tzinfo=UTC)
    tick = DAILY.evaluate_tick(dg.build_schedule_context(scheduled_execution_time=at))
    assert tick.run_requests is not None
    assert len(tick.run_requests) == 1
    assert DAILY.job_name == definitions.resolve_job_def("everything").name


def test_news_start_the_refresh_job_which_publishes_them_and_sends_no_email(
    built_home: Home, definitions: dg.Definitions, instance: dg.DagsterInstance
):
    resources = {"home": HomeResource(path=str(built_home.path))}
    with dg.build_sensor_context(resources=resources) as context:
        first = new_objects(context)
    assert isinstance(first, dg.SensorResult)
    with dg.build_sensor_context(resources=resources, cursor=first.cursor) as context:
        assert isinstance(new_objects(context), dg.SkipReason)

    add_requests(built_home)
    before = published_build(built_home)
    with dg.build_sensor_context(resources=resources, cursor=first.cursor) as context:
        ticked = new_objects(context)
    assert isinstance(ticked, dg.SensorResult)
    assert ticked.run_requests is not None
    assert [request.tags["wattledger/changed"] for request in ticked.run_requests] == ["gateway-a"]

    assert new_objects.job_name == "refresh"
    made = run_job(definitions, instance, "refresh")
    assert {PUBLISHED_MARTS, REPORT} <= made
    assert DAILY_EMAILS not in made
    assert published_build(built_home) not in (None, before)
    assert list_emails(built_home) == {}
