"""vLLM and kube-state-metrics: scrapes, saved answers, and a real Prometheus with backfilled samples."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ingest.config import ConfigError, load_sources
from ingest.contracts import KUBE_STATE_SAMPLES, QUARANTINE, VLLM_SAMPLES
from ingest.home import Home
from ingest.kinds import KINDS
from ingest.landing import land
from ingest.source import ObjectRefusedError
from ingest.telemetry.kube_state_prometheus import KubeStatePrometheus
from ingest.telemetry.vllm_prometheus import VllmPrometheus
from tests.ingest.landed import check_counts, configure, find, query, write
from tests.ingest.prometheus import Sample, backfill, run_prometheus, skip_without_prometheus

START = datetime(2025, 6, 1, tzinfo=UTC)
RESTART_AT = START + timedelta(minutes=50)
VLLM_SCRAPE = """\
# HELP vllm:num_requests_running Number of requests in model execution batches.
# TYPE vllm:num_requests_running gauge
vllm:num_requests_running{engine="0",model_name="llama-3.3-70b"} 24.0
vllm:num_requests_running{engine="1",model_name="llama-3.3-70b"} 8.0
# TYPE vllm:gpu_cache_usage_perc gauge
vllm:gpu_cache_usage_perc{engine="0",model_name="llama-3.3-70b"} NaN
# TYPE vllm:generation_tokens_total counter
vllm:generation_tokens_total{engine="0",model_name="llama-3.3-70b"} 1.234567e+06
vllm:generation_tokens_created{engine="0",model_name="llama-3.3-70b"} 1.7e+09
vllm:request_success_total{engine="0",finished_reason="abort",model_name="llama-3.3-70b"} 3.0
# TYPE vllm:request_decode_time_seconds histogram
vllm:request_decode_time_seconds_bucket{engine="0",le="0.3",model_name="llama-3.3-70b"} 0.0
vllm:request_decode_time_seconds_count{engine="0",model_name="llama-3.3-70b"} 5.0
vllm:request_decode_time_seconds_sum{engine="0",model_name="llama-3.3-70b"} 99.5
vllm:cache_config_info{block_size="16",engine="0"} 1.0
vllm:num_requests_waiting{engine="0"} 2.0
process_resident_memory_bytes 6.1e+09
"""
KUBE_SCRAPE = """\
# TYPE kube_pod_status_phase gauge
kube_pod_status_phase{namespace="ml",pod="train-0",uid="u-1",phase="Pending"} 0
kube_pod_status_phase{namespace="ml",pod="train-0",uid="u-1",phase="Running"} 1
kube_pod_container_resource_requests{namespace="ml",pod="train-0",uid="u-1",container="main",node="n1",\
resource="nvidia_com_gpu",unit="integer"} 8
kube_pod_owner{namespace="ml",pod="train-0",uid="u-1",owner_kind="Job",owner_name="train",owner_is_controller="true"} 1
kube_pod_labels{namespace="ml",pod="train-0",uid="u-1",label_team="search",label_app="x"} 1
kube_pod_created{namespace="ml",pod="train-0",uid="u-1"} 1.78e+09
kube_node_status_allocatable{node="n1",resource="nvidia_com_gpu",unit="integer"} 8
kube_pod_created{uid="u-2"} 1.78e+09
go_goroutines 99
"""


def test_a_scrape_of_vllm_lands_what_it_is_asked_for(read_object: Any):
    result = read_object(VllmPrometheus(), VLLM_SCRAPE, cluster="prod", scraped_at="2026-05-01T10:00:00Z")
    told = [(row["metric"], row["engine"], row["finished_reason"], row["value"]) for row in result.rows]
    assert told == [
        ("vllm:num_requests_running", "0", None, 24.0),
        ("vllm:num_requests_running", "1", None, 8.0),
        ("vllm:kv_cache_usage_perc", "0", None, None),
        ("vllm:generation_tokens_total", "0", None, 1234567.0),
        ("vllm:request_success_total", "0", "abort", 3.0),
        ("vllm:request_decode_time_seconds_count", "0", None, 5.0),
        ("vllm:request_decode_time_seconds_sum", "0", None, 99.5),
    ]
    assert {(row["cluster"], row["model_name"], str(row["sampled_at"])) for row in result.rows} == {
        ("prod", "llama-3.3-70b", "2026-05-01 10:00:00")
    }
    assert json.loads(result.rows[2]["_extra"]) == {"__name__": "vllm:gpu_cache_usage_perc"}
    assert [refused[:2] for refused in result.refused] == [(16, "model_name")]


def test_a_scrape_of_kube_state_metrics_lands_pods_and_nodes(read_object: Any):
    result = read_object(KubeStatePrometheus(), KUBE_SCRAPE)
    names = "metric pod_uid container node resource phase owner_kind owner labels value"
    assert [tuple(row[name] for name in names.split()) for row in result.rows] == [
        ("kube_pod_status_phase", "u-1", None, None, None, "Pending", None, None, None, 0.0),
        ("kube_pod_status_phase", "u-1", None, None, None, "Running", None, None, None, 1.0),
        ("kube_pod_container_resource_requests", "u-1", "main", "n1", "nvidia_com_gpu", None, None, None, None, 8.0),
        ("kube_pod_owner", "u-1", None, None, None, None, "Job", "train", None, 1.0),
        ("kube_pod_labels", "u-1", None, None, None, None, None, None, '{"label_app":"x","label_team":"search"}', 1.0),
        ("kube_pod_created", "u-1", None, None, None, None, None, None, None, 1.78e9),
        ("kube_node_status_allocatable", None, None, "n1", "nvidia_com_gpu", None, None, None, None, 8.0),
    ]
    assert [refused[:2] for refused in result.refused] == [(9, "namespace")]


def test_what_a_scrape_says_of_others_is_not_the_exporters_own(read_object: Any):
    labels = {
        "__name__": "kube_pod_created",
        "namespace": "monitoring",
        "pod": "kube-state-metrics-0",
        "exported_namespace": "ml",
        "exported_pod": "train-0",
    }
    answer = {
        "status": "success",
        "data": {"resultType": "vector", "result": [{"metric": labels, "value": [1.78e9, "5"]}]},
    }
    (row,) = read_object(KubeStatePrometheus(), json.dumps(answer)).rows
    assert (row["namespace"], row["pod"]) == ("ml", "train-0")


@pytest.mark.parametrize(
    ("kind", "text", "reason"),
    [
        (VllmPrometheus(), KUBE_SCRAPE, "holds no sample of vLLM"),
        (KubeStatePrometheus(), VLLM_SCRAPE, "holds no sample of kube-state-metrics"),
        (VllmPrometheus(), "hello\n", "neither a Prometheus answer nor exposition text"),
        (VllmPrometheus(), "", "empty"),
    ],
)
def test_a_scrape_of_something_else_is_refused(read_object: Any, kind: Any, text: str, reason: str):
    with pytest.raises(ObjectRefusedError, match=reason):
        read_object(kind, text)


def test_refused_samples_are_counted(home: Home):
    configure(home, "{name: serving, kind: vllm_prometheus, location: scrapes/}")
    write(home.path / "scrapes/vllm.prom", VLLM_SCRAPE)
    report = find(land(home), "serving")
    assert (report.rows_read, report.rows_landed, report.rows_quarantined) == (8, 7, 1)
    assert report.data_through_at is not None
    check_counts(home, VLLM_SAMPLES)
    assert query(home, QUARANTINE, "position, field") == [(16, "model_name")]


def make_samples() -> Iterator[Sample]:
    """Every 30 s for an hour and a half; vLLM is restarted after 50 minutes, the pod runs from the 20th minute on."""
    engine = {"model_name": "llama", "engine": "0", "namespace": "serve", "pod": "vllm-0", "instance": "10.0.0.1:8000"}
    pod = {"namespace": "ml", "pod": "train-0", "uid": "u-1"}
    for index in range(180):
        at = START + timedelta(seconds=30 * index)
        yield "vllm:num_requests_running", engine, at, 10 + index % 2
        yield "vllm:gpu_cache_usage_perc", engine, at, 0.5
        since = START if at < RESTART_AT else RESTART_AT
        yield "vllm:generation_tokens_total", engine, at, 100 * (at - since).total_seconds()
        yield "vllm:request_decode_time_seconds_sum", engine, at, (at - since).total_seconds()
        yield "vllm:request_decode_time_seconds_bucket", engine | {"le": "0.3"}, at, 1
        for phase in ("Pending", "Running"):
            is_set = (phase == "Running") == (at >= START + timedelta(minutes=20))
            yield "kube_pod_status_phase", pod | {"phase": phase}, at, int(is_set)
        for resource in ("nvidia_com_gpu", "cpu"):
            yield "kube_pod_container_resource_requests", pod | {"resource": resource, "container": "m"}, at, 8
        yield "kube_pod_created", pod, at, START.timestamp()
        yield "kube_deployment_created", {"namespace": "ml", "deployment": "d"}, at, START.timestamp()


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    skip_without_prometheus()
    blocks = backfill(tmp_path_factory.mktemp("backfill"), make_samples())
    with run_prometheus(blocks, tmp_path_factory.mktemp("prometheus")) as address:
        yield f"http://{address}"


def ask(home: Home, kind: str, prometheus: str, table: Any) -> list[tuple[Any, ...]]:
    options = "{since: 2025-06-01, until: 2025-06-02, cluster: prod}"
    configure(home, f'{{name: asked, kind: {kind}, location: "{prometheus}", options: {options}}}')
    report = find(land(home, only_sources=["asked"]), "asked")
    assert (report.deliveries_landed, report.is_stale, report.rows_quarantined) == (24, False, 0)
    check_counts(home, table)
    return query(home, table, "metric, count(*), min(value), max(value), any_value(cluster) group by metric order by 1")


def test_vllm_is_asked_of_a_real_prometheus(home: Home, prometheus: str):
    found = ask(home, "vllm_prometheus", prometheus, VLLM_SAMPLES)
    assert [row[0] for row in found] == [
        "vllm:generation_tokens_total",
        "vllm:kv_cache_usage_perc",
        "vllm:num_requests_running",
        "vllm:request_decode_time_seconds_sum",
    ]
    counter, _, running, _ = found
    # Points from 00:00 to 01:30 a minute apart; a counter is its last value, never a mean across the restart.
    assert (counter[1], counter[2]) == (91, 0.0)
    assert counter[3] == 100 * (RESTART_AT - START - timedelta(minutes=1)).total_seconds()
    assert 10 <= running[2] <= running[3] <= 11
    values = query(
        home,
        VLLM_SAMPLES,
        "sampled_at, value, pod, model_name, engine, instance where metric = 'vllm:generation_tokens_total' "
        f"and sampled_at = '{RESTART_AT + timedelta(minutes=5):%Y-%m-%d %H:%M:%S}'",
    )
    assert [row[1:] for row in values] == [(30_000.0, "vllm-0", "llama", "0", "10.0.0.1:8000")]


def test_kube_state_metrics_are_asked_of_a_real_prometheus(home: Home, prometheus: str):
    found = ask(home, "kube_state_prometheus", prometheus, KUBE_STATE_SAMPLES)
    assert [row[:2] for row in found] == [
        ("kube_pod_container_resource_requests", 91),
        ("kube_pod_created", 91),
        ("kube_pod_status_phase", 91),
    ]
    # The phase that is set, and of resources GPUs alone.
    phases = query(
        home, KUBE_STATE_SAMPLES, "phase, count(*), min(value) where phase is not null group by 1 order by 1"
    )
    assert phases == [("Pending", 20, 1.0), ("Running", 71, 1.0)]
    assert query(home, KUBE_STATE_SAMPLES, "distinct resource where resource is not null") == [("nvidia_com_gpu",)]


def test_a_metric_that_is_none_is_named(home: Home):
    options = "{since: 2025-06-01, metrics: ['no metric']}"
    configure(home, f'{{name: asked, kind: vllm_prometheus, location: "http://x", options: {options}}}')
    with pytest.raises(ConfigError, match="a list of vLLM metric names"):
        load_sources(home, KINDS)
