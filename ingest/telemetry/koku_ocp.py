"""Read the OpenShift usage reports that the koku metrics operator writes: pods, GPUs, and labels, hour by hour.

Source: CSV files of the reports `pod_usage`, `gpu_usage`, `node_label` and `namespace_label`, told apart by their
header; gzip or not. Times are as Go prints them and an interval's end is its last second: here it is the second after.
A GPU row is a pod's use of one GPU, or of one MIG instance, which carries its card's id. Landing table: koku_ocp_rows.
"""

import csv
import math
import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any, ClassVar, Final

import msgspec
import pyarrow as pa

from ingest.contracts import NUMBER, LandingTable
from ingest.payload import iterate_lines
from ingest.sample_tables import KOKU_OCP_ROWS
from ingest.source import ObjectRefusedError, RowSink, ServerKind, SourceObject
from ingest.values import parse_instant

_ROWS_PER_BATCH: Final = 20_000
_SCHEMA: Final = pa.schema([*KOKU_OCP_ROWS.columns, ("_position", pa.int64()), ("_extra", pa.string())])
_REPORTS: Final = {  # for each report the columns that it cannot do without; the last one tells it
    "pod_usage": ("pod", "namespace", "node", "pod_usage_cpu_core_seconds"),
    "gpu_usage": ("node", "namespace", "pod", "gpu_pod_uptime", "gpu_uuid"),
    "node_label": ("node", "node_labels"),
    "namespace_label": ("namespace", "namespace_labels"),
}
_TIMES: Final = ("report_period_start", "report_period_end", "interval_start", "interval_end")
_NAMES: Final = {  # of contract columns whose name carries the unit
    "gpu_pod_uptime": "gpu_pod_uptime_seconds",
    "pod_labels": "labels",
    "node_labels": "labels",
    "namespace_labels": "labels",
}
_NUMBERS: Final = frozenset(name for name, kind in KOKU_OCP_ROWS.columns if kind == NUMBER)
_TEXTS: Final = frozenset(name for name, kind in KOKU_OCP_ROWS.columns if kind == pa.string())
_GO_TIME: Final = re.compile(r"(\S+ \S+) ([+-]\d{4})(?: [A-Z]+)?")
_SECOND: Final = 1_000_000
_encode: Final = msgspec.json.Encoder(order="deterministic").encode


class _BadFieldError(Exception):
    def __init__(self, field: str | None, reason: str, found: str = "") -> None:
        super().__init__(reason)
        self.field = field
        self.reason = reason
        self.found = found[:500]


class KokuOcp:
    """One row per line of a report; grain (`_object`, `_position`)."""

    kind: ClassVar[str] = "koku_ocp"
    reader_version: ClassVar[int] = 1
    table: ClassVar[LandingTable] = KOKU_OCP_ROWS
    refuses_whole_deliveries: ClassVar[bool] = False
    partition_date_sql: ClassVar[str] = "cast(interval_start_at as date)"
    server: ClassVar[ServerKind | None] = None

    def read(self, source_object: SourceObject, sink: RowSink) -> None:
        """Write one row per line; refuse malformed ones by line number.

        Option `cluster`: the reports name none. Raises `ObjectRefusedError` for a file that is none of the reports.
        """
        lines = _iterate_records(source_object)
        _, header = next(lines, (1, []))
        report = _tell_report(header)
        cluster = source_object.options.get("cluster")
        rows: list[dict[str, Any]] = []
        for position, values in lines:
            try:
                row = _read_row(header, values)
            except _BadFieldError as error:
                sink.refuse_row(position, error.field, error.reason, error.found)
                continue
            row |= {"report": report, "cluster": None if cluster is None else str(cluster), "_position": position}
            rows.append(row)
            if len(rows) >= _ROWS_PER_BATCH:
                sink.write(pa.Table.from_pylist(rows, schema=_SCHEMA))
                rows.clear()
        if rows:
            sink.write(pa.Table.from_pylist(rows, schema=_SCHEMA))


def _iterate_records(source_object: SourceObject) -> Iterator[tuple[int, list[str]]]:
    """Yield (line number, values)."""
    for number, line in iterate_lines(source_object):
        try:
            yield number, next(csv.reader([line.decode()]))
        except UnicodeDecodeError as error:
            raise ObjectRefusedError(f"not UTF-8: {error.reason}", position=number) from error
        except csv.Error as error:
            raise ObjectRefusedError(f"not CSV: {error}", position=number) from error


def _tell_report(header: list[str]) -> str:
    for report, columns in _REPORTS.items():
        if columns[-1] in header:
            missing = [name for name in (*_TIMES, *columns) if name not in header]
            if missing:
                raise ObjectRefusedError(f"a {report} report without {', '.join(missing)}", field=missing[0])
            return report
    raise ObjectRefusedError(
        f"none of the reports {', '.join(_REPORTS)}: narrow `location` to these",
        position=1,
        found=",".join(header)[:500],
    )


def _read_row(header: list[str], values: list[str]) -> dict[str, Any]:
    if len(values) != len(header):
        raise _BadFieldError(None, f"{len(values)} values, the header has {len(header)}", ",".join(values))
    told = dict(zip(header, values, strict=True))
    row: dict[str, Any] = {f"{name}_at": _read_time(told.pop(name), name) for name in _TIMES}
    for name in ("report_period_end_at", "interval_end_at"):
        if row[name] % (60 * _SECOND) == 59 * _SECOND:  # the last second of an hour
            row[name] += _SECOND
    if row["interval_end_at"] <= row["interval_start_at"]:
        raise _BadFieldError("interval_end", "ends before it starts")
    rest: dict[str, str] = {}
    for name, text in told.items():
        column = _NAMES.get(name, name)
        if column == "labels":
            row[column] = _read_labels(text)
        elif column in _NUMBERS:
            row[column] = _read_number(text, name)
        elif column in _TEXTS:
            row[column] = text or None
        elif text:
            rest[name] = text
    _check_names(row, header)
    row["_extra"] = _encode(rest).decode() if rest else None
    return row


def _check_names(row: Mapping[str, Any], header: list[str]) -> None:
    """A GPU that nobody is named for, and seconds that the interval does not have, belong to no hour."""
    needed = ("pod", "namespace", "gpu_uuid") if "gpu_uuid" in header else ("pod",) if "pod" in header else ()
    for name in needed:
        if row[name] is None:
            raise _BadFieldError(name, "missing: the row belongs to no one")
    seconds = row.get("gpu_pod_uptime_seconds")
    if seconds is not None and seconds * _SECOND > row["interval_end_at"] - row["interval_start_at"]:
        raise _BadFieldError("gpu_pod_uptime", "more seconds than its interval has", str(seconds))


@lru_cache(maxsize=4096)
def _read_time(text: str, field: str) -> int:
    go = _GO_TIME.fullmatch(text)
    try:
        return parse_instant(go[1] + go[2] if go else text)
    except ValueError:
        raise _BadFieldError(field, "not a time: expected 2026-05-01 00:00:00 +0000 UTC", text) from None


def _read_number(text: str, field: str) -> float | None:
    if not text:
        return None
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value) or value < 0:
        raise _BadFieldError(field, "not a number of 0 or more", text)
    return value


@lru_cache(maxsize=4096)
def _read_labels(text: str) -> str | None:
    """JSON of `label_team:search|label_env:prod`, without what every key of a label begins with."""
    pairs = (pair.partition(":") for pair in text.split("|") if ":" in pair)
    labels = {key.removeprefix("label_"): value for key, _, value in pairs}
    return _encode(labels).decode() if labels else None
