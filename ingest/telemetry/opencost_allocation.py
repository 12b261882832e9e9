"""Read answers of the allocation API of OpenCost and Kubecost.

Source: `GET /allocation` (OpenCost) or `/model/allocation` (Kubecost) saved as JSON, gzip or not, or asked of the
server (`opencost_server`): one map of allocations per step of the window. Costs are in the currency the server is set
to, exact to the places it sends; list prices unless it reconciles with a cloud bill.
"""

import json
from collections.abc import Iterator
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from typing import Any, ClassVar, Final

import msgspec
import pyarrow as pa

from ingest.contracts import MONEY, NUMBER, OPENCOST_ALLOCATIONS, LandingTable
from ingest.payload import read_payload
from ingest.pulled_lines import is_pulled, iterate_pulled
from ingest.source import ObjectRefusedError, RowSink, ServerKind, SourceObject
from ingest.telemetry.opencost_server import OpencostServerKind
from ingest.values import ROUNDED_MONEY, parse_instant, round_money

_ROWS_PER_BATCH: Final = 20_000
_SCHEMA: Final = pa.schema(
    [*OPENCOST_ALLOCATIONS.columns, ("_position", pa.int64()), ("_repairs", pa.string()), ("_extra", pa.string())]
)
_KINDS: Final = {
    "__idle__": "idle",
    "__unallocated__": "unallocated",
    "__unmounted__": "unmounted",
    "__shared__": "shared",
    "__external__": "external",
    "__filtered__": "filtered",
}


def _spell(column: str) -> str:
    """The API's camelCase key of a contract column."""
    first, *others = column.split("_")
    return first + "".join(word.capitalize() for word in others)


_COSTS: Final = {name: _spell(name) for name, arrow_type in OPENCOST_ALLOCATIONS.columns if arrow_type == MONEY}
_NUMBERS: Final = {name: _spell(name) for name, arrow_type in OPENCOST_ALLOCATIONS.columns if arrow_type == NUMBER}
_PROPERTIES: Final = {
    "cluster": "cluster",
    "node": "node",
    "provider_id": "providerID",
    "namespace": "namespace",
    "controller_kind": "controllerKind",
    "controller": "controller",
    "pod": "pod",
    "container": "container",
}
_READ_KEYS: Final = frozenset(
    {"name", "properties", "window", "start", "end", "gpuAllocation", *_COSTS.values(), *_NUMBERS.values()}
)
_READ_PROPERTIES: Final = frozenset({"labels", "namespaceLabels", *_PROPERTIES.values()})
_encode: Final = msgspec.json.Encoder(decimal_format="number", order="deterministic").encode


class _BadRecordError(Exception):
    def __init__(self, field: str, reason: str, found: Any = "") -> None:
        super().__init__(reason)
        self.field = field
        self.reason = reason
        self.found = str(found)[:500]


class OpencostAllocation:
    """One row per allocation and step; grain (`allocation_name`, `node`, `window_start_at`, `window_end_at`)."""

    kind: ClassVar[str] = "opencost_allocation"
    reader_version: ClassVar[int] = 1
    table: ClassVar[LandingTable] = OPENCOST_ALLOCATIONS
    refuses_whole_deliveries: ClassVar[bool] = False
    partition_date_sql: ClassVar[str] = "cast(window_start_at as date)"
    server: ClassVar[ServerKind | None] = OpencostServerKind()

    def read(self, source_object: SourceObject, sink: RowSink) -> None:
        """Write one row per allocation; refuse malformed ones by running number and field.

        Raises `ObjectRefusedError` when it is no allocation answer, or one that reports a failure.
        """
        rows: list[dict[str, Any]] = []
        for position, (asked, name, record) in enumerate(_iterate_allocations(source_object), start=1):
            try:
                row = _read_allocation(name, record)
                _check_window(row, asked)
            except _BadRecordError as error:
                sink.refuse_row(position, error.field, error.reason, error.found)
                continue
            except UnicodeEncodeError as error:
                sink.refuse_row(position, None, f"text that is not Unicode: {error.reason}", ascii(error.object)[:500])
                continue
            row["_position"] = position
            rows.append(row)
            if len(rows) >= _ROWS_PER_BATCH:
                sink.write(pa.Table.from_pylist(rows, schema=_SCHEMA))
                rows.clear()
        if rows:
            sink.write(pa.Table.from_pylist(rows, schema=_SCHEMA))


def _iterate_answers(source_object: SourceObject) -> Iterator[tuple[str | None, bytes]]:
    """Yield (window asked for, answer); nobody knows what a saved answer was asked for."""
    if is_pulled(source_object):
        yield from iterate_pulled(source_object)
    else:
        yield None, read_payload(source_object)


def _read_steps(payload: bytes) -> list[Any]:
    """The steps of the answer, each a map of allocations, an empty map or null."""
    try:
        answer = json.loads(payload, parse_float=Decimal, parse_constant=lambda _: None)
    except UnicodeDecodeError as error:
        raise ObjectRefusedError(f"not UTF-8: {error.reason} at byte {error.start}") from error
    except (ValueError, ArithmeticError, RecursionError) as error:
        first_line = payload.lstrip()[:200].partition(b"\n")[0].decode(errors="replace")
        if "," in first_line and first_line[0] not in "{[":
            raise ObjectRefusedError(
                "a CSV: the daily CSV export of OpenCost has no window and no node; save the allocation API's JSON",
                found=first_line,
            ) from error
        line = error.lineno if isinstance(error, json.JSONDecodeError) else None
        raise ObjectRefusedError(f"not JSON: {error}", position=line, found=first_line) from error
    if not isinstance(answer, dict) or "data" not in answer:
        message = answer.get("message") if isinstance(answer, dict) else None
        raise ObjectRefusedError(
            "not an allocation answer: expected an object with `code` and `data`", found=str(message or payload[:200])
        )
    code = answer.get("code", 200)
    if code != 200:
        raise ObjectRefusedError(
            f"the server answered code {code}: {answer.get('message') or 'no message'}; ask it again",
            field="code",
            found=str(code),
        )
    data = answer["data"]
    if data is None:
        return []
    if isinstance(data, dict):
        if isinstance(data.get("sets"), list):
            raise ObjectRefusedError("an allocation summary: it has no adjustments; ask `/allocation` instead")
        return [data]
    if not isinstance(data, list):
        raise ObjectRefusedError("`data` is neither a list of steps nor a map", field="data", found=str(data)[:200])
    return data


def _iterate_allocations(source_object: SourceObject) -> Iterator[tuple[str | None, str, Any]]:
    for asked, answer in _iterate_answers(source_object):
        for step in _read_steps(answer):
            if step is None:
                continue
            if not isinstance(step, dict):
                raise ObjectRefusedError("a step is not a map of allocations", field="data", found=str(step)[:200])
            for name, record in step.items():
                if isinstance(record, dict) and "type" in record and "cpuCostAdjustment" not in record:
                    raise ObjectRefusedError(
                        "an assets answer: ask `/allocation` instead", field="type", found=name[:200]
                    )
                yield asked, name, record


def _check_window(row: dict[str, Any], asked: str | None) -> None:
    """A server that answers for another time than it was asked for would be counted twice."""
    if asked is None:
        return
    start, _, end = asked.partition(",")
    if row["window_start_at"] < _parse_instant(start) or row["window_end_at"] > _parse_instant(end):
        raise _BadRecordError("window", f"outside {asked}, which was asked for", row["allocation_name"])


def _read_allocation(key: str, record: Any) -> dict[str, Any]:
    """One row by contract column name; raises `_BadRecordError` naming the field."""
    if not isinstance(record, dict):
        raise _BadRecordError(key, "not an allocation: expected an object", record)
    properties = _read_map(record, "properties")
    window = _read_map(record, "window")
    gpu = _read_map(record, "gpuAllocation")
    name = _check_unicode(str(record.get("name") or key))
    row: dict[str, Any] = {column: _read_text(properties, source) for column, source in _PROPERTIES.items()}
    row["allocation_name"] = name
    row["allocation_kind"] = _tell_kind(name, row)
    row["labels"] = _encode_map(properties, "labels")
    row["namespace_labels"] = _encode_map(properties, "namespaceLabels")
    row["gpu_model"] = _read_text(gpu, "gpuModel") or _read_text(gpu, "gpuDevice")
    row["gpu_uuid"] = _read_text(gpu, "gpuUUID")
    row["is_gpu_shared"] = gpu.get("isGPUShared")
    if not isinstance(row["is_gpu_shared"], bool | None):
        raise _BadRecordError("gpuAllocation.isGPUShared", "not true, false or null", row["is_gpu_shared"])
    row["window_start_at"] = _read_instant(window.get("start"), "window.start")
    row["window_end_at"] = _read_instant(window.get("end"), "window.end")
    row["started_at"] = _read_instant(record.get("start"), "start")
    row["ended_at"] = _read_instant(record.get("end"), "end")
    if row["window_end_at"] <= row["window_start_at"]:
        raise _BadRecordError("window.end", "ends before it starts", f"{window['start']} to {window['end']}")
    if row["ended_at"] < row["started_at"]:
        raise _BadRecordError("end", "ends before it starts", f"{record['start']} to {record['end']}")
    for column, source in _NUMBERS.items():
        value = record.get(source)
        if value is None:
            value = gpu.get(source)  # newer versions keep the GPU averages there alone
        number = _read_decimal(value, source)
        row[column] = None if number is None else float(number)
    row["_repairs"] = None
    for column, source in _COSTS.items():
        amount = _read_decimal(record.get(source), source)
        if amount is None:
            row[column] = None
            continue
        try:
            row[column] = round_money(amount)
        except ValueError as error:
            raise _BadRecordError(source, str(error)) from None
        if row[column] != amount:
            row["_repairs"] = ROUNDED_MONEY
    row["_extra"] = _encode_rest(record, properties)
    return row


def _tell_kind(name: str, row: dict[str, Any]) -> str:
    """Special names stand last, after `cluster/` or `cluster/node/`; an aggregate may use one for a missing label."""
    kind = _KINDS.get(name.rpartition("/")[2], "workload")
    return "workload" if kind == "unallocated" and row["namespace"] is not None else kind


def _read_map(parent: dict[str, Any], key: str) -> dict[str, Any]:
    value = parent.get(key)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise _BadRecordError(key, "expected an object or null", value)
    return value


def _read_text(parent: dict[str, Any], key: str) -> str | None:
    value = parent.get(key)
    if value is not None and not isinstance(value, str):
        raise _BadRecordError(key, "not text", value)
    return _check_unicode(value) if value else None


def _check_unicode(text: str) -> str:
    """JSON can spell half a character (a lone surrogate), which no column can hold; raises `UnicodeEncodeError`."""
    if not text.isascii():
        text.encode()
    return text


def _read_instant(value: Any, field: str) -> int:
    if value is None or value == "":
        raise _BadRecordError(field, "missing: an allocation needs its window and its own start and end")
    try:
        return _parse_instant(value)
    except (TypeError, ValueError):
        raise _BadRecordError(field, "not a time: expected RFC 3339 text", value) from None


@lru_cache(maxsize=4096)
def _parse_instant(text: str) -> int:
    return parse_instant(text)


def _read_decimal(value: Any, field: str) -> Decimal | None:
    """A JSON number exactly; null (the server's NaN) stays null."""
    if value is None or isinstance(value, Decimal):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return Decimal(value)
    if isinstance(value, str):
        try:
            return Decimal(value)
        except InvalidOperation:
            pass
    raise _BadRecordError(field, "not a number", value)


def _encode_map(properties: dict[str, Any], key: str) -> str | None:
    value = _read_map(properties, key)
    return _encode(value).decode() if value else None


def _encode_rest(record: dict[str, Any], properties: dict[str, Any]) -> str | None:
    """What has no column and is not empty or 0, as JSON text."""
    rest = {key: value for key, value in record.items() if value and key not in _READ_KEYS}
    other = {key: value for key, value in properties.items() if value and key not in _READ_PROPERTIES}
    if other:
        rest["properties"] = other
    return _encode(rest).decode() if rest else None
