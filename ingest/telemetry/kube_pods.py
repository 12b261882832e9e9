"""Read pods of a Kubernetes cluster: what they asked for, where they were put, and when they got that far.

Source: `kubectl get pods -A -o json`, answers of the API, or the events of a watch (JSON lines of `type`, `object` and,
where the collector adds it, `observed_at`); gzip or not. A pod is told by its uid: names are used again. Pods vanish
when they are collected, so a cluster is to be dumped often; every dump is kept. Of a spec only the requests are read:
commands and environment variables may hold secrets. A table of pods is read too, CSV by a map of its columns. Landing
table: kube_pods.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar, Final

import msgspec

from ingest.kube_tables import KUBE_PODS, POD_PHASES
from ingest.landing_table import LandingTable
from ingest.payload import iterate_lines
from ingest.server_options import check_names
from ingest.source import OptionProblem, RowSink, ServerKind, SourceObject
from ingest.telemetry.kube_objects import (
    Condition,
    FieldError,
    Metadata,
    Sort,
    encode,
    encode_conditions,
    find_transition,
    land_objects,
    pick,
    read_metadata,
    read_time,
)
from ingest.telemetry.kube_pod_table import check_table_options, land_pod_table
from ingest.telemetry.kube_requests import Named, PodSpec, describe_requests, read_count, sum_requests

# (system, where its name stands, names): the scheduler's own group before the job that is scheduled as one.
_GROUPS: Final = (
    ("kueue", "labels", ("kueue.x-k8s.io/pod-group-name",)),
    ("volcano", "annotations", ("scheduling.k8s.io/group-name", "scheduling.volcano.sh/group-name")),
    ("kai", "annotations", ("pod-group-name",)),
    ("coscheduling", "labels", ("scheduling.x-k8s.io/pod-group", "pod-group.scheduling.sigs.k8s.io")),
    ("kubeflow", "labels", ("training.kubeflow.org/job-name", "pytorch-job-name", "tf-job-name", "mpi-job-name")),
)
_OPTIONS: Final = ("cluster", "observed_at", "columns", "constants", "time_origin")
_GROUP_SIZES: Final = ("kueue.x-k8s.io/pod-group-total-count",)
_QUEUES: Final = (
    "kueue.x-k8s.io/queue-name",
    "kueue.x-k8s.io/local-queue-name",
    "kai.scheduler/queue",
    "volcano.sh/queue-name",
    "scheduling.volcano.sh/queue-name",
)


class _Spec(PodSpec):
    nodeName: str | None = None
    schedulerName: str | None = None
    priorityClassName: str | None = None
    schedulingGates: list[Named] | None = None


class _Waiting(msgspec.Struct):
    reason: str | None = None


class _Running(msgspec.Struct):
    startedAt: str | None = None


class _Terminated(msgspec.Struct):
    startedAt: str | None = None
    finishedAt: str | None = None
    reason: str | None = None
    exitCode: int | None = None


class _State(msgspec.Struct):
    waiting: _Waiting | None = None
    running: _Running | None = None
    terminated: _Terminated | None = None


class _ContainerStatus(msgspec.Struct):
    state: _State | None = None
    lastState: _State | None = None
    restartCount: int = 0


class _Status(msgspec.Struct):
    phase: str | None = None
    reason: str | None = None
    startTime: str | None = None
    conditions: list[Condition] | None = None
    containerStatuses: list[_ContainerStatus] | None = None


class _Pod(msgspec.Struct):
    metadata: Metadata
    spec: _Spec
    status: _Status


class KubePods:
    """One row per pod and time it was seen; grain (`_object`, `_position`)."""

    kind: ClassVar[str] = "kube_pods"
    reader_version: ClassVar[int] = 1
    table: ClassVar[LandingTable] = KUBE_PODS
    refuses_whole_deliveries: ClassVar[bool] = False
    partition_date_sql: ClassVar[str] = "cast(observed_at as date)"
    server: ClassVar[ServerKind | None] = None

    def check_options(self, options: Mapping[str, Any]) -> Iterator[OptionProblem]:
        """`cluster`, `observed_at`, and of a table of pods those of `check_table_options`."""
        yield from check_names(options, _OPTIONS)
        yield from check_table_options(options)

    def read(self, source_object: SourceObject, sink: RowSink) -> None:
        """Write one row per pod; see `kube_objects.land_objects`, and `land_pod_table` for a CSV whose columns the
        option `columns` names, for options and refusals.
        """
        first = next(iterate_lines(source_object), (0, b""))[1].lstrip()
        if first and not first.startswith((b"{", b"[")):
            land_pod_table(source_object, sink)
        else:
            land_objects(source_object, sink, KUBE_PODS, Sort("Pod", ""), _read_pod)


def _read_pod(raw: msgspec.Raw) -> dict[str, Any]:
    pod = msgspec.json.decode(raw, type=_Pod)
    metadata, spec, status = pod.metadata, pod.spec, pod.status
    if status.phase not in POD_PHASES:
        raise FieldError("status.phase", f"expected one of {', '.join(POD_PHASES)}", status.phase)
    labels, annotations = metadata.labels or {}, metadata.annotations or {}
    conditions = status.conditions or []
    system, group = _find_group(labels, annotations)
    size = pick(annotations, _GROUP_SIZES) if system == "kueue" else None
    claims = [claim.name for claim in spec.resourceClaims or []]
    return read_metadata(metadata) | {
        "pod_uid": metadata.uid,
        "pod": metadata.name,
        "node": spec.nodeName or None,
        "phase": status.phase,
        "status_reason": status.reason,
        "scheduler": spec.schedulerName,
        "priority_class": spec.priorityClassName,
        "pod_group_system": system,
        "pod_group": group,
        "pod_group_size": None if size is None else read_count(size, _GROUP_SIZES[0]),
        "queue": pick(labels, _QUEUES) or pick(annotations, _QUEUES),
        **describe_requests(sum_requests(spec), has_claims=bool(claims)),
        "gpu_fraction": annotations.get("gpu-fraction"),
        "resource_claims": encode(claims),
        "scheduling_gates": encode([gate.name for gate in spec.schedulingGates or []]),
        "conditions": encode_conditions(conditions),
        "scheduled_at": find_transition(conditions, "PodScheduled"),
        "initialized_at": find_transition(conditions, "Initialized"),
        "ready_at": find_transition(conditions, "Ready"),
        "kubelet_started_at": read_time(status.startTime, "status.startTime"),
        **_read_containers(status.containerStatuses or []),
    }


def _find_group(labels: dict[str, str], annotations: dict[str, str]) -> tuple[str | None, str | None]:
    for system, place, names in _GROUPS:
        if (group := pick(labels if place == "labels" else annotations, names)) is not None:
            return system, group
    return None, None


def _read_containers(statuses: Sequence[_ContainerStatus]) -> dict[str, Any]:
    states = [state for status in statuses for state in (status.state, status.lastState) if state is not None]
    spans = [span for state in states for span in (state.running, state.terminated) if span is not None]
    started = [read_time(span.startedAt, "status.containerStatuses.startedAt") for span in spans]
    ended = [status.state.terminated if status.state else None for status in statuses]
    finished = [end and read_time(end.finishedAt, "status.containerStatuses.finishedAt") for end in ended]
    last = max(
        (state.terminated for state in states if state.terminated is not None),
        key=lambda end: end.finishedAt or "",
        default=None,
    )
    waiting = [status.state.waiting.reason for status in statuses if status.state and status.state.waiting]
    return {
        "waiting_reason": next(filter(None, waiting), None),
        "terminated_reason": last.reason if last else None,
        "exit_code": last.exitCode if last else None,
        "restart_count": sum(status.restartCount for status in statuses),
        "first_container_started_at": min(filter(None, started), default=None),
        "last_container_finished_at": max(filter(None, finished)) if finished and all(finished) else None,
    }
