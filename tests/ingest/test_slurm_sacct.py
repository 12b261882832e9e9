"""Slurm's accounting becomes one row per job and report, whatever fields were asked for."""

from datetime import datetime
from typing import Any

import pytest

from ingest.config import ConfigError, load_sources
from ingest.contracts import QUARANTINE, SLURM_JOBS
from ingest.home import Home
from ingest.jobs.slurm_sacct import SlurmSacct
from ingest.kinds import KINDS
from ingest.landing import land
from ingest.source import ObjectRefusedError
from tests.ingest.conftest import MODIFIED_AT, ReadObject
from tests.ingest.landed import check_counts, configure, find, query, write

FIELDS = (
    "JobIDRaw|JobName|Cluster|Account|User|Partition|QOS|State|ExitCode|Submit|Eligible|Start|End|ElapsedRaw|AllocTRES"
)
# The documented example: 12 hours of eight H100.
TRAIN = (
    "4711|train|prod|research|alice|h100|normal|COMPLETED|0:0|1788220800|1788220800|1788221400|1788264600|43200|"
    "billing=64,cpu=64,gres/gpu=8,gres/gpu:h100=8,mem=512G,node=1"
)


def changed(**cells: str) -> str:
    names = FIELDS.split("|")
    values = dict(zip(names, TRAIN.split("|"), strict=True)) | cells
    return "|".join(values[name] for name in names)


def read(read_object: ReadObject, *lines: str, **options: Any) -> Any:
    return read_object(SlurmSacct(), "\n".join([FIELDS, *lines]) + "\n", **options)


def test_a_job_is_a_row(read_object: ReadObject):
    (row,) = read(read_object, TRAIN).rows
    assert {name: value for name, value in row.items() if value is not None and name[0] != "_"} == {
        "cluster": "prod",
        "job_id": "4711",
        "job_name": "train",
        "account": "research",
        "user_name": "alice",
        "partition_name": "h100",
        "qos": "normal",
        "state": "COMPLETED",
        "exit_code": "0:0",
        "gpu_model": "h100",
        "gpu_count": 8,
        "node_count": 1,
        "cpu_count": 64,
        "elapsed_seconds": 43_200,
        "submitted_at": datetime(2026, 9, 1, 0),
        "eligible_at": datetime(2026, 9, 1, 0),
        "started_at": datetime(2026, 9, 1, 0, 10),
        "ended_at": datetime(2026, 9, 1, 12, 10),
        "reported_at": MODIFIED_AT.replace(tzinfo=None),
    }


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        ({"State": "CANCELLED by 1001"}, {"state": "CANCELLED"}),
        ({"State": "OUT_OF_ME+"}, {"state": "OUT_OF_ME"}),
        (
            {"Start": "Unknown", "End": "None", "AllocTRES": ""},
            {"started_at": None, "ended_at": None, "gpu_count": None},
        ),
        ({"AllocTRES": "cpu=4,mem=1G,node=1"}, {"gpu_count": 0, "gpu_model": None}),
        ({"AllocTRES": "gres/gpu:a100=2,gres/gpu:h100=4,node=2"}, {"gpu_count": 6, "gpu_model": "a100,h100"}),
        ({"JobIDRaw": "99", "JobName": "None"}, {"job_id": "99", "job_name": None}),
    ],
)
def test_words_for_nothing_and_typed_gpus_are_read(
    cells: dict[str, str], expected: dict[str, Any], read_object: ReadObject
):
    (row,) = read(read_object, changed(**cells)).rows
    assert {name: row[name] for name in expected} == expected


def test_steps_are_no_jobs_and_headers_may_come_again(read_object: ReadObject):
    steps = [changed(JobIDRaw=f"4711.{step}") for step in ("batch", "extern", "0")]
    result = read(read_object, TRAIN, *steps, FIELDS, changed(JobIDRaw="4712"))
    assert [row["job_id"] for row in result.rows] == ["4711", "4712"]
    assert result.refused == []


def test_local_times_have_a_zone_and_an_hour_that_comes_twice_is_the_first(read_object: ReadObject):
    line = changed(Submit="2026-10-25T02:30:00", Start="2026-10-25T03:30:00", Eligible="2026-07-01T12:00:00")
    (row,) = read(read_object, line, timezone="Europe/Berlin").rows
    assert row["submitted_at"] == datetime(2026, 10, 25, 0, 30)
    assert row["started_at"] == datetime(2026, 10, 25, 2, 30)
    assert row["eligible_at"] == datetime(2026, 7, 1, 10)


def test_fields_without_a_header_are_named_by_the_source(read_object: ReadObject):
    fields = ["JobIDRaw", "State", "Submit", "Suspended", "Elapsed", "AllocTRES", "ReqTRES", "ConsumedEnergyRaw"]
    line = "7|RUNNING|1788220800|00:01:30|1-02:03:04|gres/gpu=2|gres/gpu=2|1.5K"
    (row,) = read_object(SlurmSacct(), line, fields=fields, cluster="lab").rows
    assert (row["cluster"], row["suspended_seconds"], row["elapsed_seconds"]) == ("lab", 90, 93_784)
    assert (row["requested_gpu_count"], row["energy_joules"]) == (2, 1500.0)
    with pytest.raises(ObjectRefusedError, match="no header: run sacct without -n"):
        read_object(SlurmSacct(), line)
    with pytest.raises(ObjectRefusedError, match="no field Submit: add it to sacct -o"):
        read_object(SlurmSacct(), "JobIDRaw|State\n1|RUNNING\n")


def test_bad_lines_are_refused_by_line_and_field(home: Home):
    configure(home, "{name: jobs, kind: slurm_sacct, location: sacct/}")
    bad = [
        changed(Submit="noon"),
        changed(Submit="Unknown"),
        changed(ElapsedRaw="long"),
        TRAIN + "|more",
        changed(JobIDRaw=""),
    ]
    write(home.path / "sacct/day.txt", "\n".join([FIELDS, TRAIN, *bad]) + "\n")
    assert find(land(home, only_sources=["jobs"]), "jobs").rows_quarantined == 5
    assert query(home, QUARANTINE, "position, field order by position") == [
        (3, "Submit"),
        (4, "Submit"),
        (5, "ElapsedRaw"),
        (6, ""),
        (7, "JobIDRaw"),
    ]
    check_counts(home, SLURM_JOBS)


@pytest.mark.parametrize("option", ["timezone: Mars", "fields: [JobID]", "cluster: 7", "zone: UTC"])
def test_options_are_judged_when_sources_are_read(home: Home, option: str):
    configure(home, f"{{name: jobs, kind: slurm_sacct, location: sacct/, options: {{{option}}}}}")
    with pytest.raises(ConfigError, match=option.partition(":")[0]):
        load_sources(home, KINDS)


@pytest.mark.parametrize(
    ("field", "found"),
    [
        ("ElapsedRaw", "²"),
        ("ElapsedRaw", "9" * 20),
        ("Start", "²"),
        ("Start", "0001-01-01T00:00:00"),
        ("AllocTRES", "gres/gpu=" + "9" * 20),
    ],
)
def test_a_line_that_no_column_can_hold_costs_itself_alone(field: str, found: str, read_object: ReadObject):
    result = read(read_object, TRAIN, changed(JobIDRaw="4712", **{field: found}), timezone="Asia/Shanghai")
    assert [row["job_id"] for row in result.rows] == ["4711"]
    assert [refused[:2] for refused in result.refused] == [(3, field)]


def test_an_energy_that_is_no_number_is_refused(read_object: ReadObject):
    fields = ["JobIDRaw", "State", "Submit", "AllocTRES", "ConsumedEnergyRaw"]
    result = read_object(SlurmSacct(), "7|RUNNING|1788220800|gres/gpu=2|1.2.3K", fields=fields)
    assert [refused[1] for refused in result.refused] == ["ConsumedEnergyRaw"]


def test_gpus_asked_for_by_type_alone_are_counted(read_object: ReadObject):
    fields = ["JobIDRaw", "State", "Submit", "AllocTRES", "ReqTRES"]
    (row,) = read_object(SlurmSacct(), "7|PENDING|1788220800||gres/gpu:a100=2,gres/gpu:h100=4", fields=fields).rows
    assert (row["requested_gpu_count"], row["gpu_count"]) == (6, None)
