"""Samples of Prometheus, whatever they measure: API answers and exposition text, told apart by content.

A kind says what its series are by a `SampleShape`; all else is the same for every kind.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import repeat
from typing import Any, Final, Protocol

import msgspec
import polars as pl
import pyarrow as pa

from ingest.landing_table import LandingTable
from ingest.payload import read_payload
from ingest.pulled_lines import is_pulled, iterate_pulled
from ingest.source import ObjectRefusedError, RowSink, SourceObject
from ingest.telemetry.observed_at import read_observed_at
from ingest.telemetry.prometheus_answer import Series, decode_answer
from ingest.telemetry.prometheus_text import parse_labels, split_sample

_SAMPLES_PER_BATCH: Final = 100_000
_LATEST_SECONDS: Final = 1e11  # beyond it a number is milliseconds, not seconds

Constants = dict[str, str | None]
"""What all samples of a series share, by landing column."""


class SampleShape(Protocol):
    """What the series of a kind are."""

    @property
    def name(self) -> str:
        """What its samples are of, in words."""
        ...

    @property
    def constants(self) -> pa.Schema:
        """Columns that are one for a series."""
        ...

    def read_labels(
        self, labels: Mapping[str, str], options: Mapping[str, Any], repairs: Sequence[str]
    ) -> tuple[Constants, float] | None:
        """(the columns, the factor of the values); None for a series that is not the kind's, which is passed over."""
        ...

    def find_fault(self, constants: Constants) -> tuple[str, str] | None:
        """(field, reason) where the series belongs to nothing."""
        ...

    def clean(self, values: pl.Series) -> pl.Series:
        """Null for what is no figure."""
        ...


def list_constants(table: LandingTable) -> pa.Schema:
    """The columns of a landing table of samples that are one for a series."""
    own = ((name, kind) for name, kind in table.columns if name not in ("sampled_at", "value"))
    return pa.schema([*own, ("_repairs", pa.string()), ("_extra", pa.string())])


def finite_or_null(values: pl.Series) -> pl.Series:
    """NaN and infinities are missing values, never figures."""
    return values.set(~values.is_finite(), None)


def encode_labels(labels: Mapping[str, str]) -> str | None:
    """JSON text; null for none."""
    return msgspec.json.encode(labels, order="deterministic").decode() if labels else None


def read_samples(source_object: SourceObject, sink: RowSink, shape: SampleShape) -> None:
    """Write one row per sample, with a null value where there was none.

    Options: `scraped_at` (ISO time) for text without timestamps, and those of the shape. Positions are running sample
    numbers in JSON, line numbers in text. Raises `ObjectRefusedError` when the object is neither form, an answer that
    reports an error, or holds series and none of them is the kind's.
    """
    batch = _Batch(shape)
    if is_pulled(source_object):
        position = 0
        for metric, answer in iterate_pulled(source_object):
            position = _read_answer(answer, source_object.options, batch, sink, metric, position)
    else:
        if (payload := read_payload(source_object)).lstrip()[:1] in (b"{", b"["):
            is_empty = _read_answer(payload, source_object.options, batch, sink) == 0
        else:
            is_empty = _read_text(payload, source_object, batch, sink) == 0
        if not is_empty and not batch.is_known:
            raise ObjectRefusedError(f"holds no sample of {shape.name}", field="__name__")
    batch.write(sink)


@dataclass
class _Batch:
    """Samples waiting to be written; what all samples of a series share is kept once."""

    shape: "SampleShape"
    constants: list[Constants] = field(default_factory=list)
    index_by_identity: dict[int, int] = field(default_factory=dict)
    series: list[int] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    values: list[float] = field(default_factory=list)
    positions: list[int] = field(default_factory=list)
    is_known: bool = False  # a series of the shape was seen

    def add(
        self,
        constants: Constants,
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
        table = pa.Table.from_pylist(self.constants, schema=self.shape.constants).take(
            pa.array(self.series, pa.int32())
        )
        microseconds = (pl.Series(self.seconds, dtype=pl.Float64) * 1e6).round().cast(pl.Int64)
        table = table.append_column("sampled_at", microseconds.cast(pl.Datetime("us")).to_arrow())
        table = table.append_column("value", self.shape.clean(pl.Series(self.values, dtype=pl.Float64)).to_arrow())
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
    read = batch.shape.read_labels(labels, options, repairs)
    if read is None:
        return
    constants, factor = read
    batch.is_known = True
    if (fault := batch.shape.find_fault(constants)) is not None:
        for position in positions:
            sink.refuse_row(position, *fault, str(labels)[:500])
        return
    if factor != 1.0:
        values = [value * factor for value in values]
    if seconds:
        batch.add(constants, seconds, values, positions)


def _read_text(payload: bytes, source_object: SourceObject, batch: _Batch, sink: RowSink) -> int:
    """The count of series in exposition text.

    Timestamps are milliseconds, or seconds in OpenMetrics, which ends with `# EOF`.
    """
    try:
        lines = payload.decode().split("\n")
    except UnicodeDecodeError as error:
        raise ObjectRefusedError(f"not UTF-8: {error.reason} at byte {error.start}") from error
    seconds_per_unit = 1.0 if payload.rstrip().endswith(b"# EOF") else 1e-3
    untimed_seconds = read_observed_at(source_object, "scraped_at") / 1e6
    known: dict[tuple[str, str, bool], tuple[Constants, float] | None] = {}
    held: list[tuple[int, str, str, str]] = []
    is_kind_known = False
    for number, name, label_text, value_text, time_text in _iterate_samples(lines):
        try:
            if name is None:
                raise ValueError("not a sample: expected name{labels} value")
            value = _parse_value(value_text)
            is_kind_known = True
            at = untimed_seconds if time_text is None else _check_seconds(float(time_text) * seconds_per_unit)
            key = (name, label_text, time_text is None)
            if key not in known:
                repairs = ["timestamp_from_object"] if time_text is None else []
                known[key] = batch.shape.read_labels(
                    {**parse_labels(label_text), "__name__": name}, source_object.options, repairs
                )
        except ValueError as error:
            held.append((number, "value", str(error), lines[number - 1][:500]))
            continue
        read = known[key]
        if read is None:
            continue
        constants, factor = read
        batch.is_known = True
        if (fault := batch.shape.find_fault(constants)) is not None:
            held.append((number, *fault, lines[number - 1][:500]))
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
    return len(known)


def _parse_value(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"not a number: {text[:64]}") from None


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


def pick_label(labels: Mapping[str, str], names: Sequence[str], used: set[str]) -> str | None:
    """The first of the labels that is not empty; all of them count as used."""
    found = None
    for name in names:
        if name in labels:
            used.add(name)
            found = found or labels[name] or None
    return found
