"""The landing tables of what a Kubernetes cluster says of itself. A row is one object as it was seen at one instant."""

from typing import Final

from ingest import ranges
from ingest.landing_table import COUNT, FLAG, INSTANT, TEXT, LandingTable

_SEEN = (
    ("observed_at", INSTANT),
    ("event_type", TEXT),  # of a watch: ADDED | MODIFIED | DELETED; null for lists
    ("cluster", TEXT),
    ("namespace", TEXT),
    ("owner_kind", TEXT),
    ("owner", TEXT),
    ("owner_uid", TEXT),
    ("labels", TEXT),
    ("conditions", TEXT),  # JSON list: type, status, reason, lastTransitionTime
    ("created_at", INSTANT),
    ("deleted_at", INSTANT),
)
_REQUESTS = (
    ("gpu_count", COUNT),  # whole GPUs; null where a resource claim asks for devices, or nothing says it
    ("mig_count", COUNT),
    ("gpu_requests", TEXT),  # JSON: resource name to count, {} for none
)

POD_PHASES: Final = ("Pending", "Running", "Succeeded", "Failed", "Unknown")

KUBE_PODS: Final = LandingTable(
    name="kube_pods",
    columns=(
        *_SEEN,
        ("pod_uid", TEXT),
        ("pod", TEXT),
        ("node", TEXT),  # null while nothing is scheduled
        ("phase", TEXT),
        ("status_reason", TEXT),  # Evicted, Preempting, ...
        ("scheduler", TEXT),
        ("priority_class", TEXT),
        ("pod_group_system", TEXT),  # kueue | volcano | coscheduling | kai | kubeflow
        ("pod_group", TEXT),
        ("pod_group_size", COUNT),  # where the pod says it
        ("queue", TEXT),
        *_REQUESTS,
        ("gpu_fraction", TEXT),  # KAI's annotation
        ("resource_claims", TEXT),  # JSON list of names
        ("scheduling_gates", TEXT),  # JSON list of names
        ("waiting_reason", TEXT),  # of the first container that waits
        ("terminated_reason", TEXT),  # of the last container that ended
        ("exit_code", COUNT),
        ("restart_count", COUNT),
        ("scheduled_at", INSTANT),
        ("initialized_at", INSTANT),
        ("ready_at", INSTANT),
        ("kubelet_started_at", INSTANT),
        ("first_container_started_at", INSTANT),
        ("last_container_finished_at", INSTANT),  # when no container runs or waits any more
    ),
    partition="usage_date",
    ranges={
        **dict.fromkeys(("pod_group_size", "gpu_count", "mig_count", "restart_count"), ranges.COUNT),
        "exit_code": ranges.SIGNED_COUNT,
    },
)

KUBE_POD_GROUPS: Final = LandingTable(
    name="kube_pod_groups",
    columns=(
        *_SEEN,
        ("pod_group_uid", TEXT),
        ("pod_group", TEXT),
        ("queue", TEXT),
        ("priority_class", TEXT),
        ("phase", TEXT),
        ("min_member", COUNT),  # pods that are started together or not at all
        ("running", COUNT),
        ("succeeded", COUNT),
        ("failed", COUNT),
        *_REQUESTS,  # of the smallest gang, where the group says it
        ("unschedulable_reason", TEXT),
        ("unschedulable_at", INSTANT),
        ("scheduled_at", INSTANT),
    ),
    partition="usage_date",
    ranges={
        **dict.fromkeys(("min_member", "running", "succeeded", "failed", "gpu_count", "mig_count"), ranges.COUNT),
    },
)

KUBE_WORKLOADS: Final = LandingTable(
    name="kube_workloads",
    columns=(
        *_SEEN,
        ("workload_uid", TEXT),
        ("workload", TEXT),
        ("queue", TEXT),  # the LocalQueue
        ("cluster_queue", TEXT),  # null until quota is reserved
        ("priority_class", TEXT),
        ("is_active", FLAG),
        ("pod_count", COUNT),
        ("min_pod_count", COUNT),
        *_REQUESTS,  # of all pods
        ("flavors", TEXT),  # JSON: pod set to flavor by resource
        ("pending_reason", TEXT),
        ("evicted_reason", TEXT),
        ("finished_reason", TEXT),
        ("requeue_count", COUNT),
        ("quota_reserved_at", INSTANT),
        ("admitted_at", INSTANT),
        ("pods_ready_at", INSTANT),
        ("pods_unready_at", INSTANT),  # since when they are not ready
        ("evicted_at", INSTANT),
        ("preempted_at", INSTANT),
        ("finished_at", INSTANT),
    ),
    partition="usage_date",
    ranges={
        **dict.fromkeys(("pod_count", "min_pod_count", "gpu_count", "mig_count", "requeue_count"), ranges.COUNT),
    },
)
