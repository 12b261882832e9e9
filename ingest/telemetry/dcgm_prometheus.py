"""Read GPU samples of the DCGM exporter: Prometheus API answers and exposition text, told apart by content.

Source: `query_range` and `query` answers (Prometheus, VictoriaMetrics, Thanos) saved as JSON, or the text of the
exporter's `/metrics`; gzip or not; or such a server, asked (`prometheus_server`). Units stay the field's own (W, mJ,
MiB, 0..100 for `*_UTIL`, 0..1 for `PROF_*`).
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Final

import polars as pl

from ingest.contracts import DCGM_SAMPLES, LandingTable
from ingest.source import RowSink, ServerKind, SourceObject
from ingest.telemetry.dcgm_fields import list_metrics, resolve_field
from ingest.telemetry.prometheus_samples import (
    Constants,
    encode_labels,
    finite_or_null,
    list_constants,
    pick_label,
    read_samples,
)
from ingest.telemetry.prometheus_server import AskedMetrics, PrometheusServerKind

_EXPORTER_NAMES: Final = ("dcgm-exporter", "dcgm_exporter")
_UNNAMED: Final = "unnamed_expression"
_BLANK_INT64: Final = 9.223372036854775e18
_BLANK_INT32: Final = (2_147_483_632.0, 2_147_483_635.0)  # blank, not found, not supported, not permitted
_BLANK_FLOAT: Final = (140_737_488_355_328.0, 140_737_488_355_331.0)

# For each column the labels that give it, first match wins. Names differ by exporter version and options.
_DEVICE_LABELS: Final = {
    "gpu_uuid": ("UUID", "uuid", "gpu_uuid"),
    "gpu_index": ("gpu",),
    "device": ("device",),
    "model_name": ("modelName", "model_name"),
    "hostname": ("Hostname", "hostname"),
    "cluster": ("cluster",),
    "mig_profile": ("GPU_I_PROFILE",),
    "mig_instance_id": ("GPU_I_ID",),
}
# A scrape of the exporter's pod adds that pod's own labels; the workload's are then the exported ones.
_WORKLOAD_LABELS: Final = (
    {
        "namespace": ("exported_namespace", "exported_pod_namespace"),
        "pod": ("exported_pod", "exported_pod_name"),
        "container": ("exported_container", "exported_container_name"),
    },
    {
        "namespace": ("namespace", "pod_namespace"),
        "pod": ("pod", "pod_name"),
        "container": ("container", "container_name"),
    },
)
_COUNTERS: Final = re.compile(
    r"_TOTAL|_ENERGY_|_COUNTER$|_COUNT$|_VIOLATION$|_REMAPPED_ROWS$|_XID_|^dcgm_(total|pcie|xid|nvlink)"
)
_USUAL_METRICS: Final = (  # what the states, the energy and the memory of GPUs are told by
    "DCGM_FI_PROF_SM_ACTIVE",
    "DCGM_FI_PROF_GR_ENGINE_ACTIVE",
    "DCGM_FI_DEV_GPU_UTIL",
    "DCGM_FI_DEV_FB_TOTAL",
    "DCGM_FI_DEV_FB_USED",
    "DCGM_FI_DEV_FB_FREE",
    "DCGM_FI_DEV_FB_RESERVED",
    "DCGM_FI_DEV_POWER_USAGE",
    "DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION",
)


class _DcgmMetrics(AskedMetrics):
    """The fields of DCGM, under whatever names an exporter's version gives them."""

    what: ClassVar[str] = "DCGM field"
    usual: ClassVar[tuple[str, ...]] = _USUAL_METRICS

    def resolve(self, name: str) -> str:
        return resolve_field(name).name

    def list_spellings(self, name: str) -> list[str]:
        return list_metrics(name)

    def is_counter(self, name: str) -> bool:
        return bool(_COUNTERS.search(name))


class _DcgmShape:
    """Series of GPUs."""

    def __init__(self) -> None:
        self.name = "the DCGM exporter"
        self.constants = list_constants(DCGM_SAMPLES)

    def read_labels(
        self, labels: Mapping[str, str], options: Mapping[str, Any], repairs: Sequence[str]
    ) -> tuple[Constants, float]:
        return _read_labels(labels, options, repairs)

    def find_fault(self, constants: Constants) -> tuple[str, str] | None:
        if constants["gpu_uuid"] is None:
            return "UUID", "missing: a sample without a GPU belongs to no one"
        return None

    def clean(self, values: pl.Series) -> pl.Series:
        """NaN, infinities and DCGM's "no value" numbers are missing values, never figures."""
        is_blank = values >= _BLANK_INT64
        for low, high in (_BLANK_INT32, _BLANK_FLOAT):
            is_blank |= values.is_between(low, high)
        return finite_or_null(values.set(is_blank, None))


class DcgmPrometheus:
    """One row per sample; grain (`metric`, `gpu_uuid`, `mig_instance_id`, `pod`, `container`, `sampled_at`)."""

    kind: ClassVar[str] = "dcgm_prometheus"
    reader_version: ClassVar[int] = 1
    table: ClassVar[LandingTable] = DCGM_SAMPLES
    refuses_whole_deliveries: ClassVar[bool] = False
    partition_date_sql: ClassVar[str] = "cast(sampled_at as date)"
    server: ClassVar[ServerKind | None] = PrometheusServerKind(_DcgmMetrics())

    def read(self, source_object: SourceObject, sink: RowSink) -> None:
        """Write one row per sample, with a null value where DCGM or Prometheus had none.

        Options: `cluster` for series without that label, `scraped_at` (ISO time) for text without timestamps.
        Positions are running sample numbers in JSON, line numbers in text. Raises `ObjectRefusedError` when the
        object is neither form, or an answer that reports an error.
        """
        read_samples(source_object, sink, _DcgmShape())


def _read_labels(
    labels: Mapping[str, str], options: Mapping[str, Any], repairs: Sequence[str]
) -> tuple[Constants, float]:
    """(the columns that are one for a series, the factor of its values)."""
    repairs = list(repairs)
    used = {"__name__"}
    row: dict[str, str | None] = {}
    for column, names in _DEVICE_LABELS.items():
        row[column] = pick_label(labels, names, used)
    if row["cluster"] is None and options.get("cluster") is not None:
        row["cluster"] = str(options["cluster"])
    row |= _read_workload(labels, used)
    name = labels.get("__name__")
    resolved = resolve_field(name or _UNNAMED)
    row["metric"] = resolved.name
    rest = {key: value for key, value in labels.items() if key not in used}
    if not name:
        repairs.append(_UNNAMED)
    elif resolved.name != name:
        repairs.append("metric_alias")
        rest["__name__"] = name
    row["_repairs"] = ",".join(repairs) or None
    row["_extra"] = encode_labels(rest)
    return row, resolved.factor


def _read_workload(labels: Mapping[str, str], used: set[str]) -> dict[str, str | None]:
    """Namespace, pod and container of who holds the GPU; all null when nobody does.

    An idle GPU scraped through the exporter's pod carries that pod's labels: those stay in `_extra`.
    """
    exported, own = _WORKLOAD_LABELS
    names = exported if any(name in labels for name in (*exported["pod"], *exported["container"])) else own
    taken: set[str] = set()
    holder = {column: pick_label(labels, candidates, taken) for column, candidates in names.items()}
    if any(name in (holder[column] or "") for name in _EXPORTER_NAMES for column in ("pod", "container")):
        return {"namespace": None, "pod": None, "container": None}
    used |= taken
    return holder
