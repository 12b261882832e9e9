"""GPU samples to rows: Prometheus answers and exposition text, whose pod it is, and values that are none."""

import gzip
import json
import math
from collections import Counter
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from ingest.source import ObjectRefusedError
from ingest.telemetry.dcgm_prometheus import DcgmPrometheus
from ingest.telemetry.prometheus_text import parse_labels, split_sample

KIND = DcgmPrometheus()
LABELS = {"__name__": "DCGM_FI_DEV_POWER_USAGE", "UUID": "GPU-1", "gpu": "0", "Hostname": "node-1", "job": "gpus"}
EXPORTER_POD = {"namespace": "gpu-operator", "pod": "nvidia-dcgm-exporter-x1", "container": "nvidia-dcgm-exporter"}
RANGE_ANSWERS = {
    "FB_USED": 27,
    "GPU_UTIL": 147,
    "POWER_USAGE": 132,
    "TOTAL_ENERGY_CONSUMPTION": 12,
}


def to_matrix(*series: tuple[dict[str, str], list[Any]], **changes: Any) -> str:
    result = [{"metric": labels, "values": values} for labels, values in series]
    return json.dumps({"status": "success", "data": {"resultType": "matrix", "result": result}} | changes)


def read_labels(read_object: Any, **labels: str) -> dict[str, Any]:
    result = read_object(KIND, to_matrix((LABELS | labels, [[1795379117, "1"]])))
    assert result.refused == []
    (row,) = result.rows
    return row


def read_values(read_object: Any, *values: str, metric: str = "DCGM_FI_DEV_POWER_USAGE") -> list[float | None]:
    samples = [[1795379117 + 15 * number, value] for number, value in enumerate(values)]
    return [row["value"] for row in read_object(KIND, to_matrix((LABELS | {"__name__": metric}, samples))).rows]


# Real answers and scrapes ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("metric", "count"), RANGE_ANSWERS.items())
def test_real_range_answers_land_sample_for_sample(shared_data: Path, read_object: Any, metric: str, count: int):
    path = shared_data / "prometheus_query_range_dcgm" / f"query_range_DCGM_FI_DEV_{metric}.json"
    result = read_object(KIND, path)
    expected = [
        (series["metric"]["UUID"], float(at), float(value))
        for series in json.loads(path.read_text())["data"]["result"]
        for at, value in series["values"]
    ]
    landed = [
        (row["gpu_uuid"], (row["sampled_at"] - datetime(1970, 1, 1)).total_seconds(), row["value"])
        for row in result.rows
    ]
    assert (len(landed), result.refused) == (count, [])
    assert landed == expected
    assert {row["metric"] for row in result.rows} == {f"DCGM_FI_DEV_{metric}"}


def test_a_real_gap_stays_a_gap(shared_data: Path, read_object: Any):
    path = shared_data / "prometheus_query_range_dcgm" / "query_range_DCGM_FI_DEV_GPU_UTIL.json"
    points = Counter(row["hostname"] for row in read_object(KIND, path).rows)
    assert points["cp-bm14r7"] == 12
    assert points["gpu-node-1"] == 8 * 15


def test_a_real_zero_by_zero_is_null_and_not_zero(shared_data: Path, read_object: Any):
    path = shared_data / "prometheus_query_range_dcgm" / "query_range_rate_energy_div_zero_NaN.json"
    rows = read_object(KIND, path).rows
    assert Counter(row["value"] for row in rows) == {None: 15, 1.0: 12}
    assert {(row["metric"], row["_repairs"]) for row in rows} == {("unnamed_expression", "unnamed_expression")}


@pytest.mark.parametrize("name", ["1_DCGM_FI_DEV_GPU_UTIL", "4_DCGM_FI_DEV_POWER_USAGE"])
def test_idle_gpus_are_not_the_exporters(shared_data: Path, read_object: Any, name: str):
    path = shared_data / "dcgm_exporter_real" / f"nvidia-aicr-h100_prometheus_query_{name}.json"
    rows = read_object(KIND, path).rows
    assert len(rows) == 16
    assert Counter((row["namespace"], row["pod"], row["container"]) for row in rows) == {
        (None, None, None): 15,
        ("dynamo-workload", "vllm-agg-0-vllmdecodeworker-s65j5", "main"): 1,
    }


@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("ericsson-t4_busy", 20),
        ("nvidia-aicr-h100x8_one-pod", 30),
        ("nvidia-docs-a100-mig", 21),
        ("vmware-vks-vgpu-a100-40c_v1.35", 11),
    ],
)
def test_real_scrapes_land_as_a_second_parser_reads_them(shared_data: Path, read_object: Any, name: str, count: int):
    path = shared_data / "dcgm_exporter_real" / f"{name}.prom"
    result = read_object(KIND, path, scraped_at="2026-09-01T06:00:00Z")
    expected = [
        (sample.name, sample.labels["UUID"], sample.labels.get("GPU_I_ID"), sample.labels.get("pod"), sample.value)
        for family in text_string_to_metric_families(path.read_text())
        for sample in family.samples
    ]
    landed = [(row["metric"], row["gpu_uuid"], row["mig_instance_id"], row["pod"], row["value"]) for row in result.rows]
    assert (len(landed), result.refused) == (count, [])
    assert sorted(landed, key=str) == sorted(expected, key=str)
    assert {row["sampled_at"] for row in result.rows} == {datetime(2026, 9, 1, 6)}


def test_a_mig_instance_is_told_from_its_card(shared_data: Path, read_object: Any):
    rows = read_object(KIND, shared_data / "dcgm_exporter_real" / "nvidia-docs-a100-mig.prom").rows
    assert Counter((row["mig_profile"], row["mig_instance_id"]) for row in rows) == {
        (None, None): 17,
        ("1g.5gb", "13"): 4,
    }
    assert len({row["gpu_uuid"] for row in rows}) == 1


def test_a_real_victoriametrics_answer_lands(shared_data: Path, read_object: Any):
    (row,) = read_object(KIND, shared_data / "dcgm_exporter_real" / "ericsson-victoriametrics_query.json").rows
    assert (row["metric"], row["value"], row["model_name"]) == ("DCGM_FI_DEV_PCIE_REPLAY_COUNTER", 0.0, "Tesla T4")
    assert (row["namespace"], row["pod"], row["_repairs"]) == (None, None, None)


@pytest.mark.parametrize("name", ["default-counters.csv", "dcp-metrics-included.csv"])
def test_the_exporters_field_list_is_no_scrape(shared_data: Path, read_object: Any, name: str):
    with pytest.raises(ObjectRefusedError, match="neither a Prometheus answer nor exposition text"):
        read_object(KIND, shared_data / "dcgm_exporter_real" / name)


# Labels ---------------------------------------------------------------------------------------------------------------


def test_labels_of_every_exporter_version_land_in_the_same_columns(read_object: Any):
    old = {"__name__": "dcgm_fb_used", "uuid": "GPU-2", "pod_name": "p", "pod_namespace": "n", "container_name": "c"}
    new = {"__name__": "DCGM_FI_DEV_FB_USED", "gpu_uuid": "GPU-2", "pod": "p", "namespace": "n", "container": "c"}
    old |= {"hostname": "h", "modelName": "H100"}
    new |= {"Hostname": "h", "model_name": "H100"}
    result = read_object(KIND, to_matrix((old, [[1, "2"]]), (new, [[1, "2"]])))
    first, second = ({k: v for k, v in row.items() if not k.startswith("_")} for row in result.rows)
    assert first == second
    assert (first["gpu_uuid"], first["pod"], first["hostname"], first["model_name"]) == ("GPU-2", "p", "h", "H100")


def test_exported_labels_are_the_workloads(read_object: Any):
    exported = {"exported_pod": "train-0", "exported_namespace": "ml", "exported_container": "main"}
    row = read_labels(read_object, **EXPORTER_POD, **exported)
    assert (row["namespace"], row["pod"], row["container"]) == ("ml", "train-0", "main")
    assert json.loads(row["_extra"]) == EXPORTER_POD | {"job": "gpus"}
    idle = read_labels(read_object, **EXPORTER_POD, exported_pod="", exported_namespace="")
    assert (idle["namespace"], idle["pod"], idle["container"]) == (None, None, None)


def test_the_exporters_own_pod_holds_nothing_and_stays_visible(read_object: Any):
    row = read_labels(read_object, **EXPORTER_POD)
    assert (row["namespace"], row["pod"], row["container"]) == (None, None, None)
    assert json.loads(row["_extra"]) == EXPORTER_POD | {"job": "gpus"}


def test_a_workload_scraped_by_the_exporters_job_is_a_workload(read_object: Any):
    row = read_labels(read_object, job="nvidia-dcgm-exporter", service="nvidia-dcgm-exporter", pod="train-0")
    assert row["pod"] == "train-0"


def test_the_cluster_label_wins_over_the_option(read_object: Any):
    text = to_matrix((LABELS, [[1, "1"]]), (LABELS | {"cluster": "east"}, [[1, "1"]]))
    assert [row["cluster"] for row in read_object(KIND, text, cluster="west").rows] == ["west", "east"]


@pytest.mark.parametrize(
    ("metric", "name", "value"),
    [
        ("DCGM_FI_PROF_SM_UTIL_RATIO", "DCGM_FI_PROF_SM_ACTIVE", 2.0),
        ("DCGM_FI_DEV_BOARD_POWER_WATTS", "DCGM_FI_DEV_POWER_USAGE", 2.0),
        ("dcgm_gpu_utilization", "DCGM_FI_DEV_GPU_UTIL", 2.0),
        ("DCGM_FI_DEV_GPU_ENERGY_JOULES_TOTAL", "DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION", 2000.0),
        ("DCGM_FI_DEV_GPU_UTIL_RATIO", "DCGM_FI_DEV_GPU_UTIL_RATIO", 2.0),
    ],
)
def test_a_renamed_field_lands_under_one_name_and_unit(read_object: Any, metric: str, name: str, value: float):
    (row,) = read_object(KIND, to_matrix((LABELS | {"__name__": metric}, [[1, "2"]]))).rows
    assert (row["metric"], row["value"]) == (name, value)
    if metric != name:
        assert row["_repairs"] == "metric_alias"
        assert json.loads(row["_extra"])["__name__"] == metric


# Values and times -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "blank",
    [
        "NaN",
        "+Inf",
        "-Inf",
        "9223372036854775792",
        "9223372036854775794",
        "2147483632",
        "2147483634",
        "140737488355328",
    ],
)
def test_what_dcgm_or_prometheus_had_no_value_for_is_null(read_object: Any, blank: str):
    assert read_values(read_object, "1.5", blank, "0") == [1.5, None, 0.0]


def test_a_large_counter_is_a_value(read_object: Any):
    assert read_values(read_object, "15152422938", "2147483648") == [15152422938.0, 2147483648.0]


def test_epoch_seconds_keep_their_milliseconds(read_object: Any):
    (row,) = read_object(KIND, to_matrix((LABELS, [[1773114089.184, "1"]]))).rows
    assert row["sampled_at"] == datetime(2026, 3, 10, 3, 41, 29, 184_000)


def test_text_times_are_milliseconds_and_openmetrics_times_are_seconds(read_object: Any):
    line = 'DCGM_FI_DEV_GPU_UTIL{UUID="GPU-1"} 3 '
    text = read_object(KIND, f"{line}1773114089184\n").rows
    openmetrics = read_object(KIND, f"{line}1773114089.184\n# EOF\n").rows
    assert text[0]["sampled_at"] == openmetrics[0]["sampled_at"] == datetime(2026, 3, 10, 3, 41, 29, 184_000)


def test_text_without_times_takes_the_option_else_the_objects_time(read_object: Any):
    text = 'DCGM_FI_DEV_GPU_UTIL{UUID="GPU-1"} 3\n'
    (row,) = read_object(KIND, text).rows
    assert (row["sampled_at"], row["_repairs"]) == (datetime(2026, 9, 1, 12), "timestamp_from_object")
    (row,) = read_object(KIND, text, scraped_at="2026-08-31T23:00:00+02:00").rows
    assert row["sampled_at"] == datetime(2026, 8, 31, 21)
    with pytest.raises(ObjectRefusedError, match="scraped_at"):
        read_object(KIND, text, scraped_at="yesterday")


def test_a_partial_answer_is_marked(read_object: Any):
    (row,) = read_object(KIND, to_matrix((LABELS, [[1, "1"]]), isPartial=True)).rows
    assert row["_repairs"] == "partial_answer"


def test_positions_run_over_all_series(read_object: Any, pack: Callable[[str], bytes]):
    text = to_matrix((LABELS, [[1, "1"], [2, "2"]]), (LABELS, []), (LABELS | {"gpu": "1"}, [[1, "3"]]))
    rows = read_object(KIND, pack(text)).rows
    assert [(row["_position"], row["gpu_index"], row["value"]) for row in rows] == [
        (1, "0", 1.0),
        (2, "0", 2.0),
        (3, "1", 3.0),
    ]


def test_many_samples_are_written_in_bounded_batches(read_object: Any):
    samples = [[1795379117 + second, "1"] for second in range(60_000)]
    result = read_object(KIND, to_matrix((LABELS, samples), (LABELS, samples), (LABELS, samples)))
    assert [batch.num_rows for batch in result.batches] == [120_000, 60_000]


# Samples that cannot be landed ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("sample", [[1, "much"], ["now", "1"], [1], None, [1e12, "1"], [-1, "1"]])
def test_a_malformed_sample_is_refused_alone(read_object: Any, sample: Any):
    result = read_object(KIND, to_matrix((LABELS, [[1, "1"], sample, [3, "3"]])))
    assert [row["_position"] for row in result.rows] == [1, 3]
    assert [item[:2] for item in result.refused] == [(2, "value")]


def test_a_sample_without_a_gpu_is_refused(read_object: Any):
    result = read_object(KIND, to_matrix(({"__name__": "up"}, [[1, "1"], [2, "1"]]), (LABELS, [[1, "1"]])))
    assert [row["_position"] for row in result.rows] == [3]
    assert [item[:2] for item in result.refused] == [(1, "UUID"), (2, "UUID")]


def test_a_malformed_line_is_refused_by_its_number(read_object: Any):
    lines = [
        "# HELP DCGM_FI_DEV_GPU_UTIL GPU utilization (in %).",
        'DCGM_FI_DEV_GPU_UTIL{UUID="GPU-1"} 3',
        'DCGM_FI_DEV_GPU_UTIL{UUID="GPU-1} 3',
        "",
        'DCGM_FI_DEV_GPU_UTIL{UUID="GPU-1"} many',
        'DCGM_FI_DEV_GPU_UTIL{gpu="0"} 3',
        'DCGM_FI_DEV_GPU_UTIL{UUID="GPU-1",} 4',
    ]
    result = read_object(KIND, "\n".join(lines))
    assert [(row["_position"], row["value"]) for row in result.rows] == [(2, 3.0), (7, 4.0)]
    assert [item[:2] for item in result.refused] == [(3, "value"), (5, "value"), (6, "UUID")]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "empty"),
        (b'{"status":"error","errorType":"bad_data","error":"parse error"}', "with an error: parse error"),
        (b'{"status":"success","data":{"resultType":"scalar","result":[1,"1"]}}', "not a Prometheus answer"),
        (b'{"status":"success","data":{"resultType":"streams","result":[]}}', "matrix or vector"),
        (b'{"code":200}', "matrix or vector"),
        (b'{"status":', "not JSON"),
        (b"[1]", "not a Prometheus answer"),
        (b"a,b\n1,2\n", "neither a Prometheus answer nor exposition text"),
        (b'x{l="\xff"} 1\n', "not UTF-8"),
        (gzip.compress(b'x{UUID="1"} 1\n', mtime=0)[:-3], "truncated gzip"),
    ],
)
def test_an_object_of_another_kind_is_refused_whole(read_object: Any, content: bytes, reason: str):
    with pytest.raises(ObjectRefusedError, match=reason):
        read_object(KIND, content)


@given(st.dictionaries(st.from_regex(r"[a-zA-Z_][a-zA-Z0-9_]{0,8}", fullmatch=True), st.text(max_size=12), max_size=4))
def test_label_values_survive_their_escapes(labels: dict[str, str]):
    def escape(value: str) -> str:
        return value.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")

    text = ",".join(f'{name}="{escape(value)}"' for name, value in labels.items())
    sample = split_sample(f"metric{{{text}}} 1.5 1773114089184")
    assert sample == ("metric", text, "1.5", "1773114089184")
    assert parse_labels(text) == labels


def test_an_openmetrics_exemplar_is_not_part_of_the_sample():
    sample = split_sample('x_total{UUID="a # b"} 7 1.5 # {trace_id="t"} 0.5')
    assert sample is not None
    assert (sample[2], sample[3]) == ("7", "1.5")
    assert math.isclose(float(sample[2]), 7)
