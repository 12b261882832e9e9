"""The landing tables of what a Kubernetes cluster says of itself. A row is one object as it was seen at one instant."""

from typing import Final

from ingest.landing_table import COUNT, INSTANT, TEXT, LandingTable

_SEEN = (
    ("observed_at", INSTANT),
    ("event_type", TEXT),  # of a watch: ADDED | MODIFIED | DELETED; null for lists
    ("cluster", TEXT),
)

KUBE_PODS: Final = LandingTable(
    name="kube_pods",
    columns=(
        *_SEEN,
        ("pod_uid", TEXT),
        ("namespace", TEXT),
        ("pod", TEXT),
        ("node", TEXT),  # null while nothing is scheduled
        ("phase", TEXT),
        ("status_reason", TEXT),  # Evicted, Preempting, ...
        ("scheduler", TEXT),
        ("priority_class", TEXT),
        ("owner_kind", TEXT),
        ("owner", TEXT),
        ("owner_uid", TEXT),
        ("pod_group_system", TEXT),  # kueue | volcano | coscheduling | kai | kubeflow
        ("pod_group", TEXT),
        ("pod_group_size", COUNT),  # where the pod says it
        ("queue", TEXT),
        ("gpu_count", COUNT),  # whole GPUs; null where a resource claim asks for devices
        ("mig_count", COUNT),
        ("gpu_requests", TEXT),  # JSON: resource name to count, {} for none
        ("gpu_fraction", TEXT),  # KAI's annotation
        ("resource_claims", TEXT),  # JSON list of names
        ("labels", TEXT),
        ("scheduling_gates", TEXT),  # JSON list of names
        ("conditions", TEXT),  # JSON list: type, status, reason, lastTransitionTime
        ("waiting_reason", TEXT),  # of the first container that waits
        ("terminated_reason", TEXT),  # of the last container that ended
        ("exit_code", COUNT),
        ("restart_count", COUNT),
        ("created_at", INSTANT),
        ("scheduled_at", INSTANT),
        ("initialized_at", INSTANT),
        ("ready_at", INSTANT),
        ("kubelet_started_at", INSTANT),
        ("first_container_started_at", INSTANT),
        ("last_container_finished_at", INSTANT),  # when no container runs or waits any more
        ("deleted_at", INSTANT),
    ),
    partition="usage_date",
)
