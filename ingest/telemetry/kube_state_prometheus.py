"""Read what kube-state-metrics says of pods and nodes: phases, requests of GPUs, times, reasons, restarts.

Source: Prometheus API answers saved as JSON, or the text of its `/metrics`; gzip or not; or a Prometheus, asked
(`prometheus_server`). Flags are asked for where they are set, resources where they are GPUs. Finished pods vanish, so
the step is to be a minute or less; a pod is told by its uid. Landing table: kube_state_samples.
"""

import re
from typing import ClassVar, Final

from ingest.landing_table import LandingTable
from ingest.sample_tables import KUBE_STATE_SAMPLES
from ingest.source import RowSink, ServerKind, SourceObject
from ingest.telemetry.labelled_samples import LabelledShape
from ingest.telemetry.prometheus_samples import Constants, read_samples
from ingest.telemetry.prometheus_server import AskedMetrics, PrometheusServerKind

_FLAG: Final = re.compile(r"kube_pod_status_(phase|reason|unschedulable)|kube_pod_container_status_\w+_reason")
_RESOURCE: Final = re.compile(r"kube_(pod_container_resource|node_status)_(requests|limits|allocatable|capacity)")
_GPUS: Final = ',resource=~"(nvidia|amd|gpu_intel)_com_.+"'


def _find_missing(row: Constants) -> str | None:
    """A pod is told by namespace and name, or by its uid; a node by its name."""
    metric = row["metric"] or ""
    if metric.startswith("kube_pod_"):
        return next((column for column in ("namespace", "pod") if not row[column]), None)
    return "node" if metric.startswith("kube_node_") and not row["node"] else None


_SHAPE: Final = LabelledShape(
    name="kube-state-metrics",
    table=KUBE_STATE_SAMPLES,
    is_own=lambda metric: metric.startswith("kube_"),
    # A scrape adds labels of the exporter's own pod, and what it says of others is then `exported_`.
    labels={
        "cluster": ("cluster",),
        "namespace": ("exported_namespace", "namespace"),
        "pod": ("exported_pod", "pod"),
        "pod_uid": ("uid",),
        "container": ("exported_container", "container"),
        "node": ("exported_node", "node"),
        "resource": ("resource",),
        "unit": ("unit",),
        "phase": ("phase",),
        "reason": ("reason",),
        "owner_kind": ("owner_kind",),
        "owner": ("owner_name",),
    },
    find_missing=_find_missing,
    aliases={},
    gathered_prefix="label_",
)


class _KubeStateMetrics(AskedMetrics):
    what: ClassVar[str] = "kube-state-metrics metric"
    usual: ClassVar[tuple[str, ...]] = (
        "kube_pod_status_phase",
        "kube_pod_status_reason",
        "kube_pod_status_unschedulable",
        "kube_pod_container_resource_requests",
        "kube_pod_container_status_waiting_reason",
        "kube_pod_container_status_terminated_reason",
        "kube_pod_container_status_last_terminated_reason",
        "kube_pod_container_status_last_terminated_exitcode",
        "kube_pod_container_status_restarts_total",
        "kube_pod_info",
        "kube_pod_owner",
        "kube_pod_labels",
        "kube_pod_created",
        "kube_pod_status_scheduled_time",
        "kube_pod_start_time",
        "kube_pod_completion_time",
        "kube_node_status_allocatable",
    )

    def is_counter(self, name: str) -> bool:
        """A mean of states, or of instants, is none."""
        return True

    def list_matchers(self, name: str) -> str:
        return _GPUS if _RESOURCE.fullmatch(name) else ""

    def is_flag(self, name: str) -> bool:
        return bool(_FLAG.fullmatch(name))


class KubeStatePrometheus:
    """One row per sample; grain (`metric`, its labels, `sampled_at`)."""

    kind: ClassVar[str] = "kube_state_prometheus"
    reader_version: ClassVar[int] = 1
    table: ClassVar[LandingTable] = KUBE_STATE_SAMPLES
    refuses_whole_deliveries: ClassVar[bool] = False
    partition_date_sql: ClassVar[str] = "cast(sampled_at as date)"
    server: ClassVar[ServerKind | None] = PrometheusServerKind(_KubeStateMetrics())

    def read(self, source_object: SourceObject, sink: RowSink) -> None:
        """Write one row per sample; see `prometheus_samples.read_samples` for refusals.

        Options: `cluster` for series without that label, `scraped_at` (ISO time) for text without timestamps.
        """
        read_samples(source_object, sink, _SHAPE)
