"""Pods out of a CSV, by a map of its columns."""

from datetime import datetime
from typing import Any

import duckdb
import pytest

from ingest.config import ConfigError, load_sources
from ingest.contracts import KUBE_PODS
from ingest.home import Home
from ingest.kinds import KINDS
from ingest.source import ObjectRefusedError
from ingest.telemetry.kube_pods import KubePods
from tests.ingest.conftest import ReadObject

KIND = KubePods()
HEADER = "name,ns,phase,gpus,milli,made,put"
ROW = "a,train,Running,8,1000,2026-05-01T12:00:00+02:00,2026-05-01T10:05:00Z"
COLUMNS = {
    "pod": "name",
    "namespace": "ns",
    "phase": "phase",
    "gpu_count": "gpus",
    "gpu_milli": "milli",
    "created_at": "made",
    "scheduled_at": "put",
}
OPENB: dict[str, Any] = {
    "columns": {
        "pod": "name",
        "phase": "pod_phase",
        "gpu_count": "num_gpu",
        "gpu_milli": "gpu_milli",
        "created_at": "creation_time",
        "scheduled_at": "scheduled_time",
        "deleted_at": "deletion_time",
    },
    "constants": {"namespace": "openb"},
    "time_origin": "2023-03-01",
    "cluster": "openb",
    "observed_at": "2023-08-01",
}


def read(read_object: ReadObject, *lines: str, **options: Any) -> Any:
    return read_object(KIND, "\n".join([HEADER, *lines]) + "\n", **{"columns": COLUMNS, **options})


def test_a_line_is_a_pod_as_it_was_seen(read_object: ReadObject):
    (row,) = read(read_object, ROW, cluster="prod", observed_at="2026-05-02", constants={"node": "gpu-1"}).rows
    assert (row["cluster"], row["namespace"], row["pod"], row["node"]) == ("prod", "train", "a", "gpu-1")
    assert (row["gpu_count"], row["gpu_requests"], row["gpu_fraction"]) == (8, '{"gpu":8}', None)
    assert (row["created_at"], row["scheduled_at"]) == (datetime(2026, 5, 1, 10), datetime(2026, 5, 1, 10, 5))
    assert (row["observed_at"], row["_repairs"], row["_position"]) == (datetime(2026, 5, 2), None, 2)


def test_a_table_that_says_no_time_was_seen_when_it_was_written(read_object: ReadObject):
    (row,) = read(read_object, ROW).rows
    assert (row["observed_at"], row["_repairs"]) == (datetime(2026, 9, 1, 12), "observed_at_from_object")


def test_a_name_that_is_used_again_is_another_pod(read_object: ReadObject):
    rows = read(read_object, ROW, ROW.replace("12:00", "13:00")).rows
    assert len({row["pod_uid"] for row in rows}) == 2
    (row,) = read(read_object, ROW, constants={"pod_uid": "u-1"}).rows
    assert row["pod_uid"] == "u-1"


@pytest.mark.parametrize(
    ("gpus", "milli", "expected"),
    [
        ("1", "460", (0, "{}", "0.46")),
        ("1", "1000", (1, '{"gpu":1}', None)),
        ("2", "", (2, '{"gpu":2}', None)),
        ("0", "0", (0, "{}", None)),
        ("", "", (None, "{}", None)),
    ],
)
def test_a_shared_gpu_is_no_whole_one_and_nothing_said_is_no_zero(
    read_object: ReadObject, gpus: str, milli: str, expected: tuple[Any, ...]
):
    (row,) = read(read_object, ROW.replace("8,1000", f"{gpus},{milli}")).rows
    assert (row["gpu_count"], row["gpu_requests"], row["gpu_fraction"]) == expected


def test_numbers_are_seconds_since_the_origin(read_object: ReadObject):
    line = "a,train,Pending,1,1000,86400.5,"
    (row,) = read(read_object, line, time_origin="2026-05-01T00:00:00Z").rows
    assert (row["created_at"], row["scheduled_at"]) == (datetime(2026, 5, 2, 0, 0, 0, 500_000), None)
    (row,) = read(read_object, line).rows
    assert row["created_at"] == datetime(1970, 1, 2, 0, 0, 0, 500_000)


@pytest.mark.parametrize(
    ("line", "field"),
    [
        (ROW.replace("Running", "Happy"), "phase"),
        (ROW.replace("Running", ""), "phase"),
        (ROW.replace("a,train", ",train"), "name"),
        (ROW.replace("a,train", "a,"), "ns"),
        (ROW.replace("2026-05-01T12:00:00+02:00", ""), "made"),
        (ROW.replace("2026-05-01T12:00:00+02:00", "noon"), "made"),
        (ROW.replace("2026-05-01T12:00:00+02:00", "99999999999"), "made"),
        (ROW.replace("8,1000", "many,1000"), "gpus"),
        (ROW.replace("8,1000", "-1,1000"), "gpus"),
        (ROW.replace("8,1000", "2,500"), "milli"),
        (ROW.replace("8,1000", "1,2000"), "milli"),
        (ROW.replace("8,1000", "1,half"), "milli"),
        (ROW + ",more", None),
    ],
)
def test_a_malformed_line_costs_itself(read_object: ReadObject, line: str, field: str | None):
    result = read(read_object, ROW, line, ROW)
    assert result.row_count == 2
    assert [entry[:2] for entry in result.refused] == [(3, field)]


def test_a_table_without_a_column_that_the_map_names_is_refused(read_object: ReadObject):
    with pytest.raises(ObjectRefusedError, match=r"no column uid, which options\.columns names"):
        read(read_object, ROW, columns={**COLUMNS, "pod_uid": "uid"})
    with pytest.raises(ObjectRefusedError, match=r"options\.columns of the source"):
        read_object(KIND, f"{HEADER}\n{ROW}\n")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("columns: {pod: name, phase: phase, created_at: made}", "no namespace; allowed: namespace in columns or"),
        ("columns: {pod: 7}", "a map of columns to texts"),
        ("columns: name", "a map of columns to texts"),
        ("constants: {gpus: '1'}", "no column of a pod; allowed: "),
        ("time_origin: noon", "an instant, such as"),
        ("zone: UTC", "an unknown option"),
    ],
)
def test_a_map_is_judged_when_sources_are_read(home: Home, options: str, said: str):
    home.sources_path.write_text(
        f"sources:\n  - {{name: pods, kind: kube_pods, location: pods/, options: {{{options}}}}}\n"
    )
    with pytest.raises(ConfigError) as caught:
        load_sources(home, KINDS)
    assert said in str(caught.value)


def test_openbs_pods_land_with_the_gpus_of_the_file(read_object: ReadObject, shared_data: Any):
    path = shared_data / "gpu_cluster_openb/openb_pod_list_default.csv.gz"
    result = read_object(KIND, path, **OPENB)
    assert result.refused == []
    rows = result.rows
    (expected,) = duckdb.execute(
        """select count(*), sum(case when num_gpu = 1 and gpu_milli < 1000 then 0 else num_gpu end),
            sum(case when num_gpu = 1 and gpu_milli < 1000 then gpu_milli end), count(scheduled_time),
            count(*) filter (pod_phase = 'Failed'), sum(deletion_time - creation_time)
        from read_csv(?)""",
        [str(path)],
    ).fetchall()
    held = [(row["deleted_at"] - row["created_at"]).total_seconds() for row in rows if row["deleted_at"]]
    assert expected == (
        len({row["pod_uid"] for row in rows}),
        sum(row["gpu_count"] for row in rows),
        round(sum(float(row["gpu_fraction"]) for row in rows if row["gpu_fraction"]) * 1_000),
        sum(row["scheduled_at"] is not None for row in rows),
        sum(row["phase"] == "Failed" for row in rows),
        sum(held),
    )
    assert expected[:2] == (8_152, 4_355)
    assert {item.name for item in KUBE_PODS.schema} >= rows[0].keys()
