"""Allocation API answers to rows: exact costs, special names, steps without data, and answers that are none."""

import gzip
import json
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from ingest.source import ObjectRefusedError
from ingest.telemetry.opencost_allocation import OpencostAllocation

KIND = OpencostAllocation()
ABSENT = object()
NAME = "c1/gpu-node-1/ml/train-0/main"


def make_allocation(**changes: Any) -> dict[str, Any]:
    record = {
        "name": NAME,
        "properties": {
            "cluster": "c1",
            "node": "gpu-node-1",
            "container": "main",
            "controller": "train",
            "controllerKind": "job",
            "namespace": "ml",
            "pod": "train-0",
            "providerID": "i-0abc",
            "labels": {"team": "research", "app": "train"},
            "namespaceLabels": {"zone": "b", "env": "prod"},
        },
        "window": {"start": "2026-09-01T00:00:00Z", "end": "2026-09-02T00:00:00Z"},
        "start": "2026-09-01T00:00:00Z",
        "end": "2026-09-01T12:00:00Z",
        "minutes": 720.0,
        "cpuCost": 9.6,
        "cpuCostAdjustment": 0.0,
        "gpuHours": 96.0,
        "gpuCost": 240.0,
        "gpuCostAdjustment": -20.0,
        "totalCost": 235.7,
        "pvs": None,
    }
    return {key: value for key, value in (record | changes).items() if value is not ABSENT}


def to_answer(*steps: dict[str, Any] | None, **changes: Any) -> str:
    return json.dumps({"code": 200, "status": "success", "data": list(steps)} | changes)


def read_one(read_object: Any, **changes: Any) -> dict[str, Any]:
    result = read_object(KIND, to_answer({NAME: make_allocation(**changes)}))
    assert result.refused == []
    (row,) = result.rows
    return row


def test_the_published_answer_lands_with_the_costs_as_printed(shared_data: Path, read_object: Any):
    path = shared_data / "opencost_api" / "allocation-example-output.json"
    result = read_object(KIND, path)
    (step,) = json.loads(path.read_text(), parse_float=Decimal)["data"]
    assert (result.row_count, result.refused) == (3, [])
    assert [row["allocation_name"] for row in result.rows] == list(step)
    assert [row["total_cost"] for row in result.rows] == [Decimal(item["totalCost"]) for item in step.values()]
    assert sum(row["total_cost"] for row in result.rows) == Decimal("1.77816")
    assert [row["minutes"] for row in result.rows] == [10079.22199] * 3
    assert result.rows[0]["window_end_at"] == datetime(2023, 7, 19, 11, 2, 46)
    assert result.rows[0]["ended_at"] == datetime(2023, 7, 19, 11, 2)
    assert result.rows[1]["provider_id"] == "i-123458f89b9d35c11"


def test_the_csv_export_is_refused_as_another_shape(shared_data: Path, read_object: Any):
    with pytest.raises(ObjectRefusedError, match="CSV export of OpenCost has no window"):
        read_object(KIND, shared_data / "opencost_api" / "export-sample.csv")


def test_an_allocation_lands_with_its_properties_and_labels(read_object: Any, pack: Callable[[str], bytes]):
    (row,) = read_object(KIND, pack(to_answer({NAME: make_allocation()}))).rows
    assert (row["cluster"], row["node"], row["namespace"], row["pod"], row["container"]) == tuple(NAME.split("/"))
    assert (row["controller_kind"], row["controller"], row["provider_id"]) == ("job", "train", "i-0abc")
    assert row["labels"] == '{"app":"train","team":"research"}'
    assert row["namespace_labels"] == '{"env":"prod","zone":"b"}'
    assert (row["gpu_cost"], row["gpu_cost_adjustment"]) == (Decimal(240), Decimal(-20))


def test_costs_keep_every_digit_and_null_stays_null(read_object: Any):
    text = to_answer({NAME: make_allocation(cpuCost=777, ramCost=None)}).replace("777", "0.100000000000000005")
    (row,) = read_object(KIND, text).rows
    assert str(row["cpu_cost"]) == "0.100000000000000005"
    assert row["ram_cost"] is None
    assert row["network_cost"] is None
    assert row["_repairs"] is None
    assert read_one(read_object, minutes=None)["minutes"] is None


def test_an_amount_beyond_18_places_is_rounded_and_counted(read_object: Any):
    text = to_answer({NAME: make_allocation(cpuCost=777)}).replace("777", "0.0000000000000000015")
    (row,) = read_object(KIND, text).rows
    assert (str(row["cpu_cost"]), row["_repairs"]) == ("2E-18", "rounded_to_18_places")


def test_not_a_number_is_null(read_object: Any):
    (row,) = read_object(KIND, to_answer({NAME: make_allocation(gpuCost=float("nan"))})).rows
    assert row["gpu_cost"] is None


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        (NAME, "workload"),
        ("__idle__", "idle"),
        ("c1/__idle__", "idle"),
        ("c1/gpu-node-1/__idle__", "idle"),
        ("__unallocated__", "unallocated"),
        ("c1/__unmounted__", "unmounted"),
        ("__shared__", "shared"),
        ("__external__", "external"),
        ("__filtered__", "filtered"),
        ("c1/gpu-node-1/ml/idle/main", "workload"),
    ],
)
def test_special_names_tell_what_an_allocation_is(read_object: Any, name: str, kind: str):
    assert read_one(read_object, name=name, properties={"cluster": "c1"})["allocation_kind"] == kind


def test_a_workload_without_the_aggregated_label_is_still_a_workload(read_object: Any):
    row = read_one(read_object, name="ml/__unallocated__", properties={"namespace": "ml"})
    assert row["allocation_kind"] == "workload"


def test_gpu_facts_are_read_from_where_the_version_puts_them(read_object: Any):
    gpu = {"gpuModel": "H100", "gpuUUID": "GPU-1", "isGPUShared": False, "gpuUsageAverage": 0.61}
    row = read_one(read_object, gpuAllocation=gpu)
    assert (row["gpu_model"], row["gpu_uuid"], row["is_gpu_shared"]) == ("H100", "GPU-1", False)
    assert row["gpu_usage_average"] == 0.61
    assert read_one(read_object, gpuUsageAverage=0.5)["gpu_usage_average"] == 0.5


def test_what_has_no_column_is_kept_beside(read_object: Any):
    row = read_one(read_object, pvs={"cluster=c1:name=d": {"cost": 1.5}}, networkTransferBytes=12, newField="x")
    extra = {"networkTransferBytes": 12, "newField": "x", "pvs": {"cluster=c1:name=d": {"cost": 1.5}}}
    assert json.loads(row["_extra"]) == extra


def test_steps_may_be_empty_or_null_and_data_one_map(read_object: Any):
    step = {NAME: make_allocation()}
    result = read_object(KIND, to_answer(None, {}, step, step))
    assert [row["_position"] for row in result.rows] == [1, 2]
    assert read_object(KIND, to_answer(data=step)).row_count == 1
    assert read_object(KIND, to_answer(data=None)).row_count == 0


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"window": ABSENT}, "window.start"),
        ({"window": {"start": "2026-09-01T00:00:00Z"}}, "window.end"),
        ({"window": {"start": "2026-09-02T00:00:00Z", "end": "2026-09-01T00:00:00Z"}}, "window.end"),
        ({"start": ABSENT}, "start"),
        ({"start": 5}, "start"),
        ({"end": ""}, "end"),
        ({"end": "later"}, "end"),
        ({"end": "2026-08-31T00:00:00Z"}, "end"),
        ({"cpuCost": "dear"}, "cpuCost"),
        ({"cpuCost": True}, "cpuCost"),
        ({"cpuCost": 1e30}, "cpuCost"),
        ({"minutes": []}, "minutes"),
        ({"properties": "none"}, "properties"),
        ({"properties": {"node": 7}}, "node"),
        ({"properties": {"node": "\ud800"}}, None),
        ({"properties": {"labels": {"team": "\ud800"}}}, None),
        ({"start": "0001-01-01T00:00:00Z"}, "start"),
        ({"gpuAllocation": {"isGPUShared": "no"}}, "gpuAllocation.isGPUShared"),
    ],
)
def test_a_malformed_allocation_is_refused_by_number_and_field(read_object: Any, changes: Any, field: str | None):
    steps = ({"a": make_allocation()}, {"b": make_allocation(**changes), "c": make_allocation()})
    result = read_object(KIND, to_answer(*steps))
    assert [row["_position"] for row in result.rows] == [1, 3]
    ((position, refused_field, reason, _),) = result.refused
    assert (position, refused_field) == (2, field)
    assert reason


def test_a_record_that_is_no_object_is_refused_alone(read_object: Any):
    result = read_object(KIND, to_answer({"a": None, "b": make_allocation()}))
    assert (result.row_count, [item[:2] for item in result.refused]) == (1, [(1, "a")])


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "empty"),
        (b"  \n", "nothing but blanks"),
        (b"{cut", "not JSON"),
        (b"[1]", "not an allocation answer"),
        (b'{"status": "success"}', "not an allocation answer"),
        (b'{"code": 500, "message": "store not ready", "data": null}', "code 500: store not ready"),
        (b'{"code": 200, "data": "none"}', "neither a list of steps nor a map"),
        (b'{"code": 200, "data": [7]}', "a step is not a map"),
        (b'{"code": 200, "data": {"sets": []}}', "summary"),
        (b'{"code": 200, "data": {"a": {"type": "Node", "totalCost": 1}}}', "assets answer"),
        (b'{"code": 200, "data": [{"a\xff": 1}]}', "not UTF-8"),
        (gzip.compress(b'{"code": 200, "data": []}', mtime=0)[:-4], "truncated gzip"),
        (b"[" * 100_000, "not JSON"),
        (b'{"code": 200, "data": 1e99999999999999999999}', "not JSON"),
    ],
)
def test_an_object_that_is_no_allocation_answer_is_refused_whole(read_object: Any, content: bytes, reason: str):
    with pytest.raises(ObjectRefusedError, match=reason):
        read_object(KIND, content)
