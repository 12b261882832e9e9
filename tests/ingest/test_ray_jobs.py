"""Jobs of Ray, out of the answers of its dashboard."""

import json
from datetime import datetime
from typing import Any

from ingest.contracts import JOB_REPORTS, QUARANTINE
from ingest.home import Home
from ingest.jobs.ray_jobs import RayJobs
from ingest.landing import land
from tests.ingest.conftest import ReadObject
from tests.ingest.landed import check_counts, configure, find, query, write

KIND = RayJobs()
AT = 1_788_220_800_000  # 2026-09-01
JOB: dict[str, Any] = {
    "type": "SUBMISSION",
    "job_id": "01000000",
    "submission_id": "raysubmit_1",
    "driver_info": {"id": "01000000", "node_ip_address": "10.0.0.4", "pid": "77"},
    "status": "SUCCEEDED",
    "entrypoint": "python train.py",
    "message": "Job finished successfully.",
    "error_type": None,
    "start_time": AT,
    "end_time": AT + 61_500,
    "metadata": {"team": "research", "user": "ada", "job": "train"},
    "runtime_env": {},
    "driver_exit_code": 0,
}


def test_a_job_is_a_row_and_its_gpus_are_unknown(read_object: ReadObject):
    (row,) = read_object(KIND, json.dumps([JOB]), cluster="ray-prod").rows
    assert {
        name: value for name, value in row.items() if value is not None and name not in ("reported_at", "_position")
    } == {
        "scheduler": "ray",
        "record": "job",
        "cluster": "ray-prod",
        "job_id": "raysubmit_1",
        "job_name": "train",
        "account": "research",
        "user_name": "ada",
        "state": "SUCCEEDED",
        "labels": '{"team":"research","user":"ada","job":"train"}',
        "submitted_at": datetime(2026, 9, 1),
        "started_at": datetime(2026, 9, 1),
        "ended_at": datetime(2026, 9, 1, 0, 1, 1, 500_000),
    }
    assert row["gpu_count"] is None


def test_a_driver_without_submission_has_its_own_id_and_one_that_waits_has_not_started(read_object: ReadObject):
    driver = JOB | {"type": "DRIVER", "submission_id": None, "metadata": {}, "status": "PENDING", "end_time": None}
    (row,) = read_object(KIND, f"{json.dumps(driver)}\n").rows
    assert [row[name] for name in ("job_id", "started_at", "ended_at", "labels")] == ["01000000", None, None, None]


def test_a_bad_job_costs_itself_alone(home: Home):
    bad = [
        JOB,
        JOB | {"status": None},
        JOB | {"submission_id": "", "job_id": None},
        JOB | {"start_time": AT // 1000},
        3,
    ]
    write(home.path / "jobs.json", json.dumps(bad))
    configure(home, "{name: ray, kind: ray_jobs, location: jobs.json, options: {cluster: ray-prod}}")
    report = find(land(home, only_sources=["ray"]), "ray")
    assert (report.rows_landed, report.rows_quarantined) == (1, 4)
    check_counts(home, JOB_REPORTS)
    assert [field for (field,) in query(home, QUARANTINE, "field order by position")] == [
        "status",
        "submission_id",
        "start_time",
        "",
    ]
