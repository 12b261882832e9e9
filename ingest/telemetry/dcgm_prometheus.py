"""Read GPU samples of the DCGM exporter: Prometheus API answers and exposition text, told apart by content.

Source: `query_range` and `query` answers (Prometheus, VictoriaMetrics, Thanos) saved as JSON, or the text of the
exporter's `/metrics`; gzip or not; or such a server, asked (`prometheus_server`). Units stay the field's own (W, mJ,
MiB, 0..100 for `*_UTIL`, 0..1 for `PROF_*`).
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import repeat
from typing import Any, ClassVar, Final

import msgspec
import polars as pl
import pyarrow as pa

from ingest.contracts import DCGM_SAMPLES, LandingTable
from ingest.payload import read_payload
from ingest.pulled_lines import is_pulled, iterate_pulled
from ingest.source import ObjectRefusedError, RowSink, ServerKind, SourceObject
from ingest.telemetry.dcgm_fields import resolve_field
from ingest.telemetry.observed_at import read_observed_at
from ingest.telemetry.prometheus_answer import Series, decode_answer
from ingest.telemetry.prometheus_server import PrometheusServerKind
from ingest.telemetry.prometheus_text import parse_labels, split_sample

_SAMPLES_PER_BATCH: Final = 100_000
_EXPORTER_NAMES: Final = ("dcgm-exporter", "dcgm_exporter")
_UNNAMED: Final = "unnamed_expression"
_LATEST_SECONDS: Final = 1e11  # beyond it a number is milliseconds, not seconds
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
_CONSTANTS: Final = pa.schema(
    [
        *((name, kind) for name, kind in DCGM_SAMPLES.columns if name not in ("sampled_at", "value")),
        ("_repairs", pa.string()),
        ("_extra", pa.string()),
    ]
)


@dataclass
class _Batch:
    """Samples waiting to be written; what all samples of a series share is kept once."""

    constants: list[dict[str, str | None]] = field(default_factory=list)
    index_by_identity: dict[int, int] = field(default_factory=dict)
    series: list[int] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    values: list[float] = field(default_factory=list)
    positions: list[int] = field(default_factory=list)

    def add(
        self,
        constants: dict[str, str | None],
        seconds: Sequence[float],
        values: Sequence[float],
        positions: Sequence[int],
    ) -> None:
        index = self.index_by_identity.setdefault(id(constants), len(self.constants))
        if index == len(self.constants):
            self.constants.append(constants)
        self.series.extend(repeat(index, len(seconds)))
        self.seconds.extend(seconds)
        self.values.extend(values)
        self.positions.extend(positions)

    def write(self, sink: RowSink) -> None:
        if not self.seconds:
            return
        table = pa.Table.from_pylist(self.constants, schema=_CONSTANTS).take(pa.array(self.series, pa.int32()))
        microseconds = (pl.Series(self.seconds, dtype=pl.Float64) * 1e6).round().cast(pl.Int64)
        table = table.append_column("sampled_at", microseconds.cast(pl.Datetime("us")).to_arrow())
        table = table.append_column("value", _blank_to_null(pl.Series(self.values, dtype=pl.Float64)).to_arrow())
        sink.write(table.append_column("_position", pa.array(self.positions, pa.int64())))
        for items in (
            self.constants,
            self.index_by_identity,
            self.series,
            self.seconds,
            self.values,
            self.positions,
        ):
            items.clear()


class DcgmPrometheus:
    """One row per sample; grain (`metric`, `gpu_uuid`, `mig_instance_id`, `pod`, `container`, `sampled_at`)."""

    kind: ClassVar[str] = "dcgm_prometheus"
    table: ClassVar[LandingTable] = DCGM_SAMPLES
    refuses_whole_deliveries: ClassVar[bool] = False
    partition_date_sql: ClassVar[str] = "cast(sampled_at as date)"
    server: ClassVar[ServerKind | None] = PrometheusServerKind()

    def read(self, source_object: SourceObject, sink: RowSink) -> None:
        """Write one row per sample, with a null value where DCGM or Prometheus had none.

        Options: `cluster` for series without that label, `scraped_at` (ISO time) for text without timestamps.
        Positions are running sample numbers in JSON, line numbers in text. Raises `ObjectRefusedError` when the
        object is neither form, or an answer that reports an error.
        """
        batch = _Batch()
        if is_pulled(source_object):
            position = 0
            for metric, answer in iterate_pulled(source_object):
                position = _read_answer(answer, source_object.options, batch, sink, metric, position)
        elif (payload := read_payload(source_object)).lstrip()[:1] in (b"{", b"["):
            _read_answer(payload, source_object.options, batch, sink)
        else:
            _read_text(payload, source_object, batch, sink)
        batch.write(sink)


def _read_answer(
    payload: bytes,
    options: Mapping[str, Any],
    batch: _Batch,
    sink: RowSink,
    asked_metric: str | None = None,
    position: int = 0,
) -> int:
    """The position of the last sample. `asked_metric` is what series without a name of their own are of."""
    answer = decode_answer(payload)
    repairs = ["partial_answer"] if answer.is_partial else []
    for series in answer.result:
        samples = series.values if series.values is not None else [] if series.value is None else [series.value]
        first = position + 1
        position += len(samples)
        seconds, values, positions = _split_samples(samples, first, sink, is_checked=isinstance(series, Series))
        if asked_metric is not None:
            series.metric.setdefault("__name__", asked_metric)
        _add_series(series.metric, options, repairs, batch, sink, (seconds, values, positions))
        if len(batch.seconds) >= _SAMPLES_PER_BATCH:
            batch.write(sink)
    return position


def _split_samples(
    samples: Sequence[Any], first: int, sink: RowSink, *, is_checked: bool
) -> tuple[Sequence[float], Sequence[float], Sequence[int]]:
    """(epoch seconds, values, positions); samples that are not [seconds, number in text] are refused one by one."""
    if not samples:
        return (), (), ()
    if is_checked:
        seconds, texts = zip(*samples, strict=True)
        try:
            if min(seconds) >= 0 and max(seconds) < _LATEST_SECONDS:
                return seconds, list(map(float, texts)), range(first, first + len(samples))
        except ValueError:
            pass  # found again below, sample by sample
    good: list[tuple[float, float, int]] = []
    for position, sample in enumerate(samples, start=first):
        try:
            at, text = sample
            good.append((_check_seconds(float(at)), float(text), position))
        except (TypeError, ValueError):
            sink.refuse_row(position, "value", "not a sample: expected [seconds, number]", str(sample)[:500])
    if not good:
        return (), (), ()
    seconds, values, positions = zip(*good, strict=True)
    return seconds, values, positions


def _add_series(
    labels: Mapping[str, str],
    options: Mapping[str, Any],
    repairs: Sequence[str],
    batch: _Batch,
    sink: RowSink,
    samples: tuple[Sequence[float], Sequence[float], Sequence[int]],
) -> None:
    seconds, values, positions = samples
    constants, factor = _read_labels(labels, options, repairs)
    if constants["gpu_uuid"] is None:
        for position in positions:
            sink.refuse_row(position, "UUID", "missing: a sample without a GPU belongs to no one", str(labels)[:500])
        return
    if factor != 1.0:
        values = [value * factor for value in values]
    if seconds:
        batch.add(constants, seconds, values, positions)


def _read_text(payload: bytes, source_object: SourceObject, batch: _Batch, sink: RowSink) -> None:
    """Read exposition text; timestamps are milliseconds, or seconds in OpenMetrics, which ends with `# EOF`."""
    try:
        lines = payload.decode().split("\n")
    except UnicodeDecodeError as error:
        raise ObjectRefusedError(f"not UTF-8: {error.reason} at byte {error.start}") from error
    seconds_per_unit = 1.0 if payload.rstrip().endswith(b"# EOF") else 1e-3
    untimed_seconds = read_observed_at(source_object, "scraped_at") / 1e6
    known: dict[tuple[str, str, bool], tuple[dict[str, str | None], float]] = {}
    held: list[tuple[int, str, str, str]] = []
    is_kind_known = False
    for number, name, label_text, value_text, time_text in _iterate_samples(lines):
        try:
            if name is None:
                raise ValueError("not a sample: expected name{labels} value")
            value = float(value_text)
            is_kind_known = True
            at = untimed_seconds if time_text is None else _check_seconds(float(time_text) * seconds_per_unit)
            key = (name, label_text, time_text is None)
            if key not in known:
                repairs = ["timestamp_from_object"] if time_text is None else []
                known[key] = _read_labels(
                    {**parse_labels(label_text), "__name__": name}, source_object.options, repairs
                )
        except ValueError as error:
            held.append((number, "value", str(error), lines[number - 1][:500]))
            continue
        constants, factor = known[key]
        if constants["gpu_uuid"] is None:
            held.append((number, "UUID", "missing: a sample without a GPU belongs to no one", lines[number - 1][:500]))
            continue
        batch.add(constants, (at,), (value * factor,), (number,))
        if len(batch.seconds) >= _SAMPLES_PER_BATCH:
            batch.write(sink)
    if held and not is_kind_known:
        number, _, reason, found = held[0]
        raise ObjectRefusedError(
            f"neither a Prometheus answer nor exposition text: {reason}", position=number, found=found
        )
    for position, name, reason, found in held:
        sink.refuse_row(position, name, reason, found)


def _iterate_samples(lines: list[str]) -> Iterator[tuple[int, str | None, str, str, str | None]]:
    for number, line in enumerate(lines, start=1):
        if not line or line.startswith("#") or line.isspace() or line.lstrip().startswith("#"):
            continue
        name, labels, value, time = split_sample(line) or (None, "", "", None)
        yield number, name, labels, value, time


def _check_seconds(seconds: float) -> float:
    if not math.isfinite(seconds) or not 0 <= seconds < _LATEST_SECONDS:
        raise ValueError(f"not epoch seconds: {seconds}")
    return seconds


def _read_labels(
    labels: Mapping[str, str], options: Mapping[str, Any], repairs: Sequence[str]
) -> tuple[dict[str, str | None], float]:
    """(the columns that are one for a series, the factor of its values)."""
    repairs = list(repairs)
    used = {"__name__"}
    row: dict[str, str | None] = {}
    for column, names in _DEVICE_LABELS.items():
        row[column] = _pick(labels, names, used)
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
    row["_extra"] = msgspec.json.encode(rest, order="deterministic").decode() if rest else None
    return row, resolved.factor


def _read_workload(labels: Mapping[str, str], used: set[str]) -> dict[str, str | None]:
    """Namespace, pod and container of who holds the GPU; all null when nobody does.

    An idle GPU scraped through the exporter's pod carries that pod's labels: those stay in `_extra`.
    """
    exported, own = _WORKLOAD_LABELS
    names = exported if any(name in labels for name in (*exported["pod"], *exported["container"])) else own
    taken: set[str] = set()
    holder = {column: _pick(labels, candidates, taken) for column, candidates in names.items()}
    if any(name in (holder[column] or "") for name in _EXPORTER_NAMES for column in ("pod", "container")):
        return {"namespace": None, "pod": None, "container": None}
    used |= taken
    return holder


def _pick(labels: Mapping[str, str], names: Sequence[str], used: set[str]) -> str | None:
    """The first of the labels that is not empty; all of them count as used."""
    found = None
    for name in names:
        if name in labels:
            used.add(name)
            found = found or labels[name] or None
    return found


def _blank_to_null(values: pl.Series) -> pl.Series:
    """NaN, infinities and DCGM's "no value" numbers are missing values, never figures."""
    is_blank = ~values.is_finite() | (values >= _BLANK_INT64)
    for low, high in (_BLANK_INT32, _BLANK_FLOAT):
        is_blank |= values.is_between(low, high)
    return values.set(is_blank, None)
