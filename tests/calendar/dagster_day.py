"""One day of a home as its Dagster lives it: the sensor's ticks, then the schedule's, and the jobs that they ask for.

Run in a fork of its own, as Dagster runs each job in a process of its own; what came of it is told in one JSON file.
"""

import json
import os
import sys
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dagster as dg

from ingest.home import open_home
from orchestration.resources import HomeResource
from orchestration.runs import open_instance
from orchestration.schedules import DAILY, EVERYTHING, REFRESH
from orchestration.sensors import new_objects


@dataclass
class DagsterDay:
    """What the ticks asked for and what the runs did. `failed_checks` of the schedule's run."""

    sensor_said: str
    refreshed: bool
    schedule_said: str
    succeeded: bool
    failed_checks: list[str]


def run_dagster_day(home_path: str, at: str, cursor_path: str, told_path: str, environment: dict[str, str]) -> None:
    """Evaluate the sensor and the schedule of `at`, and execute what they ask for."""
    os.setsid()
    os.environ.clear()
    os.environ.update(environment)
    log = os.open(f"{told_path}.log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for stream in (1, 2):
        os.dup2(log, stream)
    from orchestration.definitions import make_definitions

    home = open_home(home_path)
    definitions = make_definitions(home)
    with open_instance(home) as instance:
        day = _live(definitions, instance, home_path, datetime.fromisoformat(at).replace(tzinfo=UTC), Path(cursor_path))
    Path(told_path).write_text(json.dumps(asdict(day)), encoding="utf-8")
    sys.stdout.flush()
    os._exit(0)


def _live(
    definitions: dg.Definitions, instance: dg.DagsterInstance, home_path: str, at: datetime, cursor: Path
) -> DagsterDay:
    resource = HomeResource(path=home_path)
    before = cursor.read_text(encoding="utf-8") if cursor.exists() else None
    with dg.build_sensor_context(instance=instance, cursor=before, resources={"home": resource}) as context:
        sensed = new_objects(context)
    asked: Any = sensed.run_requests if isinstance(sensed, dg.SensorResult) else None
    refreshed = False
    if isinstance(sensed, dg.SensorResult):
        cursor.write_text(sensed.cursor or "", encoding="utf-8")
        run = definitions.resolve_job_def(REFRESH.name).execute_in_process(instance=instance, raise_on_error=False)
        refreshed = run.success
    with dg.build_schedule_context(instance=instance, scheduled_execution_time=at) as context:
        tick = DAILY.evaluate_tick(context)
    assert tick.run_requests, tick
    run = definitions.resolve_job_def(EVERYTHING.name).execute_in_process(instance=instance, raise_on_error=False)
    return DagsterDay(
        sensor_said=f"{len(asked)} runs" if asked else str(sensed),
        refreshed=refreshed,
        schedule_said=f"{len(tick.run_requests)} runs",
        succeeded=run.success,
        failed_checks=[
            f"{check.asset_key.to_user_string()}/{check.check_name}"
            for check in run.get_asset_check_evaluations()
            if not check.passed and check.severity is dg.AssetCheckSeverity.ERROR
        ],
    )
