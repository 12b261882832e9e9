"""Read Kueue's workloads: what waits for quota, what was admitted, and since when its pods are ready.

Source: `kubectl get workloads.kueue.x-k8s.io -A -o json` (v1beta1, v1beta2), answers of the API or the events of a
watch; gzip or not. What is admitted and whose pods are not ready holds GPUs that do no work. Only the last time of each
condition is told: a workload that was evicted and admitted again shows its last turn. Landing table: kube_workloads.
"""

from collections.abc import Sequence
from typing import Any, ClassVar

import msgspec

from ingest.kube_tables import KUBE_WORKLOADS
from ingest.landing_table import LandingTable
from ingest.source import RowSink, ServerKind, SourceObject
from ingest.telemetry.kube_objects import (
    Condition,
    FieldError,
    Metadata,
    Sort,
    encode,
    encode_conditions,
    find_transition,
    land_objects,
    read_metadata,
)
from ingest.telemetry.kube_requests import Named, PodSpec, add_requests, describe_requests, sum_requests


class _Template(msgspec.Struct):
    spec: PodSpec


class _PodSet(msgspec.Struct):
    template: _Template
    count: int = 1
    minCount: int | None = None


class _Spec(msgspec.Struct):
    podSets: list[_PodSet]
    queueName: str | None = None
    priorityClassName: str | None = None  # v1beta1
    priorityClassRef: Named | None = None  # v1beta2
    active: bool = True


class _Assignment(msgspec.Struct):
    name: str
    flavors: dict[str, str] | None = None


class _Admission(msgspec.Struct):
    clusterQueue: str
    podSetAssignments: list[_Assignment] | None = None


class _RequeueState(msgspec.Struct):
    count: int | None = None


class _Status(msgspec.Struct):
    conditions: list[Condition] | None = None
    admission: _Admission | None = None
    requeueState: _RequeueState | None = None


class _Workload(msgspec.Struct):
    metadata: Metadata
    spec: _Spec
    status: _Status = msgspec.field(default_factory=_Status)


class Kueue:
    """One row per workload and time it was seen; grain (`_object`, `_position`)."""

    kind: ClassVar[str] = "kueue"
    reader_version: ClassVar[int] = 1
    table: ClassVar[LandingTable] = KUBE_WORKLOADS
    refuses_whole_deliveries: ClassVar[bool] = False
    partition_date_sql: ClassVar[str] = "cast(observed_at as date)"
    server: ClassVar[ServerKind | None] = None

    def read(self, source_object: SourceObject, sink: RowSink) -> None:
        """Write one row per workload; see `kube_objects.land_objects` for options and refusals."""
        land_objects(source_object, sink, KUBE_WORKLOADS, Sort("Workload", "kueue.x-k8s.io"), _read_workload)


def _read_workload(raw: msgspec.Raw) -> dict[str, Any]:
    workload = msgspec.json.decode(raw, type=_Workload)
    metadata, spec, status = workload.metadata, workload.spec, workload.status
    if any(pods.count < 0 or (pods.minCount or 0) > pods.count for pods in spec.podSets):
        raise FieldError("spec.podSets", "not a count of pods: expected 0 <= minCount <= count")
    conditions = status.conditions or []
    admission, ref = status.admission, spec.priorityClassRef
    requests: dict[str, int] = {}
    for pods in spec.podSets:
        of_one = sum_requests(pods.template.spec)
        requests = add_requests(requests, {name: count * pods.count for name, count in of_one.items()})
    flavors = {item.name: item.flavors for item in (admission and admission.podSetAssignments) or [] if item.flavors}
    return read_metadata(metadata) | {
        "workload_uid": metadata.uid,
        "workload": metadata.name,
        "queue": spec.queueName,
        "cluster_queue": admission.clusterQueue if admission else None,
        "priority_class": spec.priorityClassName or (ref.name if ref else None),
        "is_active": spec.active,
        "pod_count": sum(pods.count for pods in spec.podSets),
        "min_pod_count": sum(pods.count if pods.minCount is None else pods.minCount for pods in spec.podSets),
        **describe_requests(requests, has_claims=any(pods.template.spec.resourceClaims for pods in spec.podSets)),
        "flavors": encode(flavors),
        "conditions": encode_conditions(conditions),
        "pending_reason": _find_reason(conditions, "QuotaReserved", "False"),
        "evicted_reason": _find_reason(conditions, "Evicted", "True"),
        "finished_reason": _find_reason(conditions, "Finished", "True"),
        "requeue_count": status.requeueState.count if status.requeueState else None,
        "quota_reserved_at": find_transition(conditions, "QuotaReserved"),
        "admitted_at": find_transition(conditions, "Admitted"),
        "pods_ready_at": find_transition(conditions, "PodsReady"),
        "pods_unready_at": find_transition(conditions, "PodsReady", "False"),
        "evicted_at": find_transition(conditions, "Evicted"),
        "preempted_at": find_transition(conditions, "Preempted"),
        "finished_at": find_transition(conditions, "Finished"),
    }


def _find_reason(conditions: Sequence[Condition], name: str, status: str) -> str | None:
    return next((item.reason for item in conditions if (item.type, item.status) == (name, status)), None)
