"""Managed jobs and clusters of SkyPilot, out of the answers of its API."""

import gzip
import json
from datetime import datetime
from decimal import Decimal
from typing import Any

import pytest

from ingest.contracts import JOB_REPORTS, QUARANTINE
from ingest.home import Home
from ingest.jobs.skypilot_jobs import SkypilotJobs
from ingest.landing import land
from tests.ingest.conftest import MODIFIED_AT, ReadObject
from tests.ingest.landed import check_counts, configure, find, query, write

KIND = SkypilotJobs()
AT = 1_788_220_800  # 2026-09-01
JOB = {
    "job_id": 7,
    "task_id": 0,
    "job_name": "train",
    "resources": "2x(H100:8)",
    "submitted_at": AT + 0.25,
    "start_at": AT + 600.0,
    "end_at": AT + 7_800.0,
    "last_recovered_at": -1,
    "recovery_count": 2,
    "job_duration": 6_000.5,
    "status": "SUCCEEDED",
    "failure_reason": None,
    "workspace": "research",
    "user_hash": "abc123",
    "cloud": "AWS",
    "region": "us-east-1",
    "zone": None,
    "pool": None,
    "priority": 500,
}
CLUSTER = {
    "name": "sky-1",
    "cluster_hash": "c-1",
    "launched_at": AT,
    "duration": 7_200,
    "num_nodes": 2,
    "accelerators": "A100-80GB:4",
    "resources_str": "2x(gpus=A100-80GB:4)",
    "usage_intervals": [[AT, AT + 3_600], [AT + 7_200, AT + 10_800]],
    "total_cost": 58.5,
    "cloud": "gcp",
    "region": "us-central1",
    "user_name": "ada",
}


def read(read_object: ReadObject, *records: Any) -> list[dict[str, Any]]:
    result = read_object(KIND, json.dumps(records))
    assert result.refused == []
    return result.rows


def test_a_managed_job_is_a_row(read_object: ReadObject):
    (row,) = read(read_object, JOB)
    assert {name: value for name, value in row.items() if value is not None and name[0] != "_"} == {
        "scheduler": "skypilot",
        "record": "job",
        "job_id": "7",
        "job_name": "train",
        "account": "research",
        "user_name": "abc123",
        "state": "SUCCEEDED",
        "cloud": "AWS",
        "region": "us-east-1",
        "resources": "2x(H100:8)",
        "gpu_model": "H100",
        "gpu_count": 16.0,
        "node_count": 2,
        "recovery_count": 2,
        "run_seconds": 6_000.5,
        "submitted_at": datetime(2026, 9, 1, 0, 0, 0, 250_000),
        "started_at": datetime(2026, 9, 1, 0, 10),
        "ended_at": datetime(2026, 9, 1, 2, 10),
        "reported_at": MODIFIED_AT.replace(tzinfo=None),
    }


@pytest.mark.parametrize(
    ("resources", "gpus", "model", "nodes"),
    [
        ("1x(H100:8)", 8.0, "H100", 1),
        ("4x GCP(a3-highgpu-8g, {'H100': 8}, cpus=8+, mem=64+)", 32.0, "H100", 4),
        ("A10:0.5", 0.5, "A10", None),
        ("1x[CPU:4+]", 0.0, None, 1),
        ("2x(V100:4, cpus:8, mem:64)", 8.0, "V100", 2),
        ("1x(cpus=4, mem=16, m6i.xlarge)", 0.0, None, 1),
        ("1x(gpus=H100:8, cpus=8, image_id=docker:nvidia/cuda:12.1, disk=256)", 8.0, "H100", 1),
        ("1x(cpus=4, mem=16, image_id=docker:ubuntu:20.04)", 0.0, None, 1),
        ("1x(tpu-v5e-8:1)", 0.0, None, 1),
        ("-", None, None, None),
        (None, None, None, None),
    ],
)
def test_gpus_are_those_of_all_nodes(read_object: ReadObject, resources: Any, gpus: Any, model: Any, nodes: Any):
    (row,) = read(read_object, JOB | {"resources": resources})
    assert (row["gpu_count"], row["gpu_model"], row["node_count"]) == (gpus, model, nodes)


def test_what_has_not_been_has_no_time(read_object: ReadObject):
    waiting = JOB | {"status": "ManagedJobStatus.PENDING", "submitted_at": None, "start_at": -1, "end_at": 0}
    (row,) = read(read_object, waiting | {"job_duration": None, "created_at": AT})
    assert [row[name] for name in ("state", "submitted_at", "started_at", "ended_at", "run_seconds")] == [
        "PENDING",
        datetime(2026, 9, 1),
        None,
        None,
        None,
    ]


@pytest.mark.parametrize("number", ["1e1000000", "1e400", "1e-99999999"])
def test_a_number_of_no_size_is_refused_at_once(read_object: ReadObject, number: str):
    result = read_object(KIND, json.dumps([JOB]).replace("6000.5", number))
    assert (result.row_count, [field for _, field, *_ in result.refused]) == (0, ["job_duration"])


def test_accelerators_of_a_cluster_may_be_an_object_or_none(read_object: ReadObject):
    of_two, of_none = read(
        read_object,
        CLUSTER | {"accelerators": {"A100": 4}},
        CLUSTER | {"accelerators": None, "resources_str": "2x(m6i.large, image_id=docker:python:3.11)"},
    )
    assert [of_two["gpu_count"], of_none["gpu_count"]] == [8.0, 0.0]


def test_tasks_of_a_pipeline_stand_apart(read_object: ReadObject):
    rows = read(read_object, JOB, JOB | {"task_id": 1})
    assert [row["job_id"] for row in rows] == ["7", "7-1"]


def test_a_cluster_has_a_catalogues_cost_to_the_last_place(read_object: ReadObject):
    text = json.dumps({"clusters": [CLUSTER]}).replace("58.5", "58.123456789012345678")
    (row,) = read_object(KIND, text).rows
    assert row["catalogue_cost_usd"] == Decimal("58.123456789012345678")
    shown = ("record", "job_id", "gpu_count", "run_seconds", "user_name", "started_at", "ended_at")
    assert [row[name] for name in shown] == [
        "cluster",
        "c-1",
        8.0,
        7_200.0,
        "ada",
        datetime(2026, 9, 1),
        datetime(2026, 9, 1, 3),
    ]


def test_a_cluster_that_still_runs_has_no_end(read_object: ReadObject):
    (row,) = read(read_object, CLUSTER | {"usage_intervals": [[AT, AT + 60], [AT + 90, None]]})
    assert row["ended_at"] is None


@pytest.mark.parametrize("layout", ["array", "lines", "jobs", "gzip"])
def test_records_stand_in_any_layout(read_object: ReadObject, layout: str):
    texts = {
        "array": json.dumps([JOB, JOB]),
        "lines": f"{json.dumps(JOB)}\n{json.dumps(JOB)}\n",
        "jobs": json.dumps({"jobs": [JOB, JOB], "total": 2}),
        "gzip": gzip.compress(json.dumps([JOB, JOB]).encode()),
    }
    assert read_object(KIND, texts[layout]).row_count == 2


def test_a_bad_record_costs_itself_alone(home: Home):
    bad = [
        JOB,
        JOB | {"status": "DREAMING"},
        JOB | {"job_id": None},
        JOB | {"submitted_at": AT * 1000},
        JOB | {"job_duration": -3},
        JOB | {"recovery_count": 1.5},
        {"name": "x"},
        CLUSTER | {"usage_intervals": [3]},
        CLUSTER | {"total_cost": "much"},
        CLUSTER | {"cluster_hash": None, "name": None},
        JOB | {"recovery_count": 10**30},
        "soon",
    ]
    write(home.path / "queue.json", json.dumps(bad))
    configure(home, "{name: sky, kind: skypilot_jobs, location: queue.json}")
    report = find(land(home, only_sources=["sky"]), "sky")
    assert (report.rows_landed, report.rows_quarantined) == (1, 11)
    check_counts(home, JOB_REPORTS)
    assert [field for (field,) in query(home, QUARANTINE, "field order by position")] == [
        "status",
        "job_id",
        "submitted_at",
        "job_duration",
        "recovery_count",
        "job_id",
        "usage_intervals",
        "total_cost",
        "cluster_hash",
        "recovery_count",
        "",
    ]


def test_a_byte_that_is_no_text_costs_its_line_alone(read_object: ReadObject):
    lines = [json.dumps(JOB | {"job_id": number}).encode() for number in (7, 8, 9)]
    lines[1] = lines[1].replace(b'"train"', b'"tr\xffin"')
    result = read_object(KIND, b"\n".join(lines))
    assert result.row_count == 2
    ((position, _, _, found),) = result.refused
    assert position == 2 and "utf-8" in found
