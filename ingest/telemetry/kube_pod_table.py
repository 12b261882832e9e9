"""A table of pods: CSV with a header, by a map of its columns, as warehouses export them and schedulers' traces are."""

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any, Final

import pyarrow as pa

from ingest.kube_tables import KUBE_PODS, POD_PHASES
from ingest.landing_table import INSTANT
from ingest.payload import iterate_csv
from ingest.source import ObjectRefusedError, OptionProblem, RowSink, SourceObject
from ingest.telemetry.kube_objects import UNTIMED, FieldError, encode
from ingest.telemetry.kube_requests import read_count
from ingest.telemetry.observed_at import read_observed_at
from ingest.values import parse_instant
from ingest.wording import list_names

_TIMES: Final = tuple(name for name, kind in KUBE_PODS.columns if kind == INSTANT and name != "observed_at")
_TEXTS: Final = (
    "pod_uid",
    "pod",
    "namespace",
    "node",
    "phase",
    "status_reason",
    "scheduler",
    "priority_class",
    "owner_kind",
    "owner",
    "owner_uid",
    "queue",
)
_COLUMNS: Final = (*_TEXTS, *_TIMES, "gpu_count", "gpu_milli")
_REQUIRED: Final = ("pod", "namespace", "phase", "created_at")
_MILLI: Final = 1_000
_END: Final = parse_instant("2199-12-31")
_ROWS_PER_BATCH: Final = 20_000
_SCHEMA: Final = pa.schema([*KUBE_PODS.columns, ("_position", pa.int64()), ("_repairs", pa.string())])


def check_table_options(options: Mapping[str, Any]) -> Iterator[OptionProblem]:
    """`columns` and `constants`: of our columns, with `gpu_milli`, the thousandths of one GPU that a pod shares, the
    header or the text. `time_origin`: the instant from which times that are numbers count their seconds."""
    for name in ("columns", "constants"):
        given = options.get(name, {})
        if not isinstance(given, Mapping) or not all(isinstance(text, str) and text.strip() for text in given.values()):
            yield OptionProblem(name, repr(given), "a map of columns to texts, such as {pod: name, phase: pod_phase}")
            continue
        for column in given:
            if column not in _COLUMNS:
                yield OptionProblem(f"{name}.{column}", "no column of a pod", list_names(str(column), _COLUMNS))
    if "columns" in options and isinstance(options["columns"], Mapping):
        told = {*options["columns"], *(options.get("constants") or {})}
        for column in (column for column in _REQUIRED if column not in told):
            yield OptionProblem("columns", f"no {column}", f"{column} in columns or constants")
    try:
        parse_instant(str(options.get("time_origin", "1970-01-01")))
    except ValueError:
        yield OptionProblem("time_origin", repr(options["time_origin"]), "an instant, such as 2026-05-01T00:00:00Z")


def land_pod_table(source_object: SourceObject, sink: RowSink) -> None:
    """Write one row per line; refuse malformed ones by line and header.

    Options: those of `check_table_options`, `cluster` and `observed_at`. Raises `ObjectRefusedError` for what is no
    JSON where no columns are named, and for a header that lacks one.
    """
    options = source_object.options
    if "columns" not in options:
        raise ObjectRefusedError("not JSON: of a CSV of pods, options.columns of the source must name the columns")
    columns: Mapping[str, str] = options["columns"]
    common = {
        "observed_at": read_observed_at(source_object, "observed_at"),
        "cluster": options.get("cluster"),
        "_repairs": None if "observed_at" in options else UNTIMED,
    }
    origin = parse_instant(str(options.get("time_origin", "1970-01-01")))
    lines = iterate_csv(source_object, sink)
    _, header = next(lines, (0, []))
    if missing := [name for name in columns.values() if name not in header]:
        raise ObjectRefusedError(
            f"no column {missing[0]}, which options.columns names", field=missing[0], found=", ".join(header)[:500]
        )
    rows: list[dict[str, Any]] = []
    for position, cells in lines:
        try:
            if len(cells) != len(header):
                raise FieldError(None, f"{len(cells)} cells: the header has {len(header)}", ",".join(cells))
            line = dict(zip(header, cells, strict=True))
            told = {
                **options.get("constants", {}),
                **{name: line[cell] for name, cell in columns.items() if line[cell]},
            }
            rows.append(common | _read_pod(told, columns, origin) | {"_position": position})
        except FieldError as error:
            sink.refuse_row(position, error.field, error.reason, error.found)
        if len(rows) >= _ROWS_PER_BATCH:
            sink.write(pa.Table.from_pylist(rows, schema=_SCHEMA))
            rows.clear()
    if rows:
        sink.write(pa.Table.from_pylist(rows, schema=_SCHEMA))


def _read_pod(told: Mapping[str, str], columns: Mapping[str, str], origin: int) -> dict[str, Any]:
    """A row without what all rows of the table have; `columns` are the names that errors say."""
    for name in _REQUIRED:
        if not told.get(name):
            raise FieldError(columns.get(name, name), "empty: every pod has one")
    if told["phase"] not in POD_PHASES:
        raise FieldError(columns.get("phase"), f"expected one of {', '.join(POD_PHASES)}", told["phase"])
    times = {name: _read_time(told[name], columns.get(name, name), origin) for name in _TIMES if told.get(name)}
    return {
        **{name: told[name] for name in _TEXTS if name in told},
        # Names are used again.
        "pod_uid": told.get("pod_uid") or f"{told['namespace']}/{told['pod']}@{told['created_at']}",
        **times,
        **_read_gpus(told, columns),
    }


def _read_gpus(told: Mapping[str, str], columns: Mapping[str, str]) -> dict[str, Any]:
    """Whole GPUs, or the part of one that is shared, of which no whole one is asked for."""
    if not told.get("gpu_count"):
        return {"gpu_count": None, "gpu_requests": "{}"}
    count = read_count(told["gpu_count"], columns.get("gpu_count", "gpu_count"))
    field = columns.get("gpu_milli", "gpu_milli")
    milli = read_count(told["gpu_milli"], field) if told.get("gpu_milli") else _MILLI
    if count and milli != _MILLI:
        if count > 1 or not 0 < milli < _MILLI:
            raise FieldError(field, "expected the thousandths of one GPU that is shared", f"{milli} of {count}")
        return {"gpu_count": 0, "gpu_requests": "{}", "gpu_fraction": f"{Decimal(milli) / _MILLI}"}
    return {"gpu_count": count, "gpu_requests": encode({"gpu": count}) if count else "{}"}


def _read_time(text: str, field: str, origin: int) -> int:
    """Microseconds since 1970 of ISO text, or of seconds since `origin`."""
    try:
        if not text.replace(".", "", 1).isdecimal():
            return parse_instant(text)
        instant = origin + int(Decimal(text) * 1_000_000)
        if instant >= _END:
            raise ValueError
        return instant
    except ValueError:
        raise FieldError(
            field, "not a time: expected ISO 8601 text, or seconds since options.time_origin", text
        ) from None
