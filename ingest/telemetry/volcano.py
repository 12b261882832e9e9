"""Read Volcano's pod groups: how many pods must start together, and since when they may.

Source: `kubectl get podgroups.scheduling.volcano.sh -A -o json`, answers of the API or the events of a watch; gzip or
not. A group that is `Inqueue` waits as a whole; one that is `Unknown` runs in part and holds GPUs that do no work. Only
the last time of each condition is told, so that a cluster is to be dumped often. Landing table: kube_pod_groups.
"""

from typing import Any, ClassVar, Final

import msgspec

from ingest.kube_tables import KUBE_POD_GROUPS
from ingest.landing_table import LandingTable
from ingest.source import RowSink, ServerKind, SourceObject
from ingest.telemetry.kube_objects import (
    Condition,
    FieldError,
    Metadata,
    Sort,
    encode_conditions,
    find_transition,
    land_objects,
    read_metadata,
)
from ingest.telemetry.kube_requests import describe_requests, read_gpu_counts

_PHASES: Final = ("Pending", "Inqueue", "Running", "Unknown", "Completed")
_REQUESTED: Final = "requests."  # as a quota spells a resource: older versions do


class _Spec(msgspec.Struct):
    minMember: int | None = None
    queue: str | None = None
    priorityClassName: str | None = None
    minResources: dict[str, str | int | float] | None = None


class _Status(msgspec.Struct):
    phase: str | None = None
    running: int = 0
    succeeded: int = 0
    failed: int = 0
    conditions: list[Condition] | None = None


class _PodGroup(msgspec.Struct):
    metadata: Metadata
    spec: _Spec
    status: _Status = msgspec.field(default_factory=_Status)


class Volcano:
    """One row per pod group and time it was seen; grain (`_object`, `_position`)."""

    kind: ClassVar[str] = "volcano"
    reader_version: ClassVar[int] = 1
    table: ClassVar[LandingTable] = KUBE_POD_GROUPS
    refuses_whole_deliveries: ClassVar[bool] = False
    partition_date_sql: ClassVar[str] = "cast(observed_at as date)"
    server: ClassVar[ServerKind | None] = None

    def read(self, source_object: SourceObject, sink: RowSink) -> None:
        """Write one row per pod group; see `kube_objects.land_objects` for options and refusals."""
        land_objects(source_object, sink, KUBE_POD_GROUPS, Sort("PodGroup", "scheduling.volcano.sh"), _read_group)


def _read_group(raw: msgspec.Raw) -> dict[str, Any]:
    group = msgspec.json.decode(raw, type=_PodGroup)
    metadata, spec, status = group.metadata, group.spec, group.status
    phase = status.phase or "Pending"  # nobody has looked at it yet
    if phase not in _PHASES:
        raise FieldError("status.phase", f"expected one of {', '.join(_PHASES)}", phase)
    conditions = status.conditions or []
    least = None
    if spec.minResources is not None:
        least = {name.removeprefix(_REQUESTED): value for name, value in spec.minResources.items()}
    stuck = next((item for item in conditions if (item.type, item.status) == ("Unschedulable", "True")), None)
    return read_metadata(metadata) | {
        "pod_group_uid": metadata.uid,
        "pod_group": metadata.name,
        "queue": spec.queue,
        "priority_class": spec.priorityClassName,
        "phase": phase,
        "min_member": spec.minMember,
        "running": status.running,
        "succeeded": status.succeeded,
        "failed": status.failed,
        **({} if least is None else describe_requests(read_gpu_counts(least), has_claims=False)),
        "conditions": encode_conditions(conditions),
        "unschedulable_reason": stuck.reason if stuck else None,
        "unschedulable_at": find_transition(conditions, "Unschedulable"),
        "scheduled_at": find_transition(conditions, "Scheduled"),
    }
