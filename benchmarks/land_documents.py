"""Documents of sources that are JSON, no two rows alike, in June 2026."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Final

START: Final = datetime(2026, 6, 1, tzinfo=UTC)
_ROWS_PER_DOCUMENT: Final = 10_000


def write_allocations(row_count: int) -> Iterator[str]:
    """OpenCost answers of a day: 24 steps of as many pods as it takes for 30 days."""
    pods = -(-row_count // (30 * 24))
    for day in range(30):
        steps: list[dict[str, Any]] = []
        for hour in range(24):
            start = START + timedelta(days=day, hours=hour)
            window = {"start": f"{start:%Y-%m-%dT%H:%M:%SZ}", "end": f"{start + timedelta(hours=1):%Y-%m-%dT%H:%M:%SZ}"}
            first = (day * 24 + hour) * pods
            steps.append(
                {
                    f"c1/node-{pod % 50}/ml/train-{pod}/main": _make_allocation(first + pod, pod, window)
                    for pod in range(max(0, min(pods, row_count - first)))
                }
            )
        yield json.dumps({"code": 200, "data": steps})


def _make_allocation(number: int, pod: int, window: dict[str, str]) -> dict[str, Any]:
    labels = {"team": f"team-{pod % 20}", "app": "train"}
    return {
        "name": f"c1/node-{pod % 50}/ml/train-{pod}/main",
        "properties": {
            "cluster": "c1",
            "node": f"node-{pod % 50}",
            "container": "main",
            "controller": "train",
            "controllerKind": "job",
            "namespace": "ml",
            "pod": f"train-{pod}",
            "providerID": f"i-{pod % 50:017x}",
            "labels": labels,
        },
        "window": window,
        "start": window["start"],
        "end": window["end"],
        "minutes": 60.0,
        "cpuCoreHours": 8.0,
        "cpuCost": number % 9973 / 10_000,
        "gpuCount": 1.0,
        "gpuHours": 1.0,
        "gpuCost": number % 99991 / 10_000,
        "ramByteHours": 68719476736.0,
        "ramCost": number % 997 / 10_000,
        "totalCost": (number % 9973 + number % 99991 + number % 997) / 10_000,
    }


def write_samples(row_count: int) -> Iterator[str]:
    """Prometheus answers of an hour: 60 steps of eleven fields of as many GPUs as it takes."""
    fields = ("GPU_UTIL", "FB_USED", "FB_FREE", "POWER_USAGE", "TOTAL_ENERGY_CONSUMPTION", "GPU_TEMP", "SM_CLOCK")
    series = [(gpu, name) for gpu in range(128) for name in fields]
    for hour, first_of_hour in enumerate(range(0, row_count, 60 * len(series))):
        at = int((START + timedelta(hours=hour)).timestamp())
        result = [
            {
                "metric": {
                    "__name__": f"DCGM_FI_DEV_{name}",
                    "UUID": f"GPU-{gpu:08x}",
                    "gpu": str(gpu % 8),
                    "Hostname": f"node-{gpu // 8}",
                    "modelName": "NVIDIA H100 80GB HBM3",
                    "exported_namespace": "ml",
                    "exported_pod": f"train-{gpu}",
                },
                "values": [[at + step * 60, str((first + step) % 997)] for step in range(min(60, row_count - first))],
            }
            for (gpu, name), first in zip(series, range(first_of_hour, row_count, 60), strict=False)
        ]
        yield json.dumps({"status": "success", "data": {"resultType": "matrix", "result": result}})


def write_spans(row_count: int) -> Iterator[str]:
    """OTLP documents."""
    for numbers in _iterate_numbers(row_count):
        spans = [_make_span(number, row_count) for number in numbers]
        resource = {"attributes": [{"key": "service.name", "value": {"stringValue": "chat"}}]}
        yield json.dumps({"resourceSpans": [{"resource": resource, "scopeSpans": [{"spans": spans}]}]})


def _make_span(number: int, row_count: int) -> dict[str, Any]:
    start = int(START.timestamp()) * 10**9 + number * 2_591_000 * 10**9 // row_count
    texts = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-4o",
        "gen_ai.response.id": f"chatcmpl-{number:024x}",
        "team": f"team-{number % 20}",
    }
    counts = {"gen_ai.usage.input_tokens": number % 4000 + 1, "gen_ai.usage.output_tokens": number % 700 + 1}
    return {
        "traceId": f"{number:032x}",
        "spanId": f"{number:016x}",
        "name": "chat gpt-4o",
        "kind": 3,
        "startTimeUnixNano": str(start),
        "endTimeUnixNano": str(start + 1_500_000_000),
        "attributes": [{"key": key, "value": {"stringValue": value}} for key, value in texts.items()]
        + [{"key": key, "value": {"intValue": str(value)}} for key, value in counts.items()],
        "status": {},
    }


def write_traces(row_count: int) -> Iterator[str]:
    """Pages of Langfuse's traces of one call each."""
    for numbers in _iterate_numbers(row_count):
        yield json.dumps({"data": [_make_trace(number, row_count) for number in numbers]})


def _make_trace(number: int, row_count: int) -> dict[str, Any]:
    started_at = _spread(number, row_count)
    call = {
        "id": f"o{number}",
        "traceId": f"t{number}",
        "type": "GENERATION",
        "startTime": started_at.isoformat(),
        "endTime": (started_at + timedelta(seconds=1)).isoformat(),
        "model": "gpt-4o",
        "usageDetails": {"input": number % 4000 + 1, "output": number % 700 + 1},
        "totalCost": number % 97 / 10_000,
    }
    trace = {"id": f"t{number}", "userId": f"u{number % 400}", "tags": [f"team:team-{number % 20}"]}
    return trace | {"observations": [call]}


def write_pods(row_count: int) -> Iterator[str]:
    """Lists of running pods."""
    for numbers in _iterate_numbers(row_count):
        yield json.dumps({"apiVersion": "v1", "kind": "PodList", "items": [_make_pod(number) for number in numbers]})


def _make_pod(number: int) -> dict[str, Any]:
    created_at, started_at = "2026-06-01T10:00:00Z", "2026-06-01T10:01:00Z"
    labels = {"team": f"team-{number % 20}", "app": "train"}
    conditions = ("PodScheduled", "Initialized", "Ready")
    return {
        "metadata": {
            "name": f"train-{number}",
            "namespace": "ml",
            "uid": f"{number:032x}",
            "creationTimestamp": created_at,
            "labels": labels,
        },
        "spec": {
            "nodeName": f"node-{number % 50}",
            "containers": [{"name": "main", "resources": {"limits": {"nvidia.com/gpu": "8"}}}],
        },
        "status": {
            "phase": "Running",
            "startTime": started_at,
            "conditions": [{"type": name, "status": "True", "lastTransitionTime": started_at} for name in conditions],
            "containerStatuses": [{"restartCount": 0, "state": {"running": {"startedAt": started_at}}}],
        },
    }


def write_jobs(row_count: int) -> Iterator[str]:
    """Answers of SkyPilot's queue of managed jobs."""
    for numbers in _iterate_numbers(row_count):
        yield json.dumps([_make_job(number, row_count) for number in numbers])


def _make_job(number: int, row_count: int) -> dict[str, Any]:
    submitted_at = _spread(number, row_count).timestamp()
    return {
        "job_id": number,
        "task_id": 0,
        "job_name": "train",
        "resources": "2x(H100:8)",
        "submitted_at": submitted_at,
        "start_at": submitted_at + 60,
        "end_at": submitted_at + 3_660,
        "job_duration": 3_600.0,
        "recovery_count": 0,
        "status": "SUCCEEDED",
        "user_hash": f"user-{number % 400}",
        "workspace": f"team-{number % 20}",
        "cloud": "AWS",
        "region": "us-east-1",
    }


def _iterate_numbers(row_count: int) -> Iterator[range]:
    for first in range(0, row_count, _ROWS_PER_DOCUMENT):
        yield range(first, min(first + _ROWS_PER_DOCUMENT, row_count))


def _spread(number: int, row_count: int) -> datetime:
    return START + timedelta(milliseconds=number * 2_591_000_000 // row_count)
