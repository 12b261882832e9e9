"""Objects of the Kubernetes API in JSON: lists, single objects, and the events of a watch, one after the other.

A file may hold objects of several sorts, as `kubectl get pods,podgroups -o json` writes them: a kind reads its own and
passes over the others.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec
import pyarrow as pa

from ingest.landing_table import LandingTable
from ingest.payload import iterate_lines, read_payload
from ingest.source import ObjectRefusedError, RowSink, SourceObject
from ingest.telemetry.observed_at import read_observed_at
from ingest.values import parse_instant

_ROWS_PER_BATCH: Final = 20_000
_BLANKS: Final = re.compile(r"\s*")
UNTIMED: Final = "observed_at_from_object"
_encode: Final = msgspec.json.Encoder(order="deterministic").encode


class OwnerReference(msgspec.Struct):
    kind: str
    name: str
    uid: str | None = None
    controller: bool | None = None


class Metadata(msgspec.Struct):
    name: str
    uid: str
    creationTimestamp: str
    namespace: str | None = None
    deletionTimestamp: str | None = None
    labels: dict[str, str] | None = None
    annotations: dict[str, str] | None = None
    ownerReferences: list[OwnerReference] | None = None

    @property
    def owner(self) -> OwnerReference | None:
        """The controller, else the first owner."""
        owners = self.ownerReferences or []
        return next((owner for owner in owners if owner.controller), owners[0] if owners else None)


class Condition(msgspec.Struct, omit_defaults=True):
    type: str
    status: str | None = None
    reason: str | None = None
    lastTransitionTime: str | None = None


class _Document(msgspec.Struct):
    """A list, an event or an object: told apart by what is there."""

    kind: str | None = None
    apiVersion: str | None = None
    items: list[msgspec.Raw] | None = None
    type: str | None = None
    object: msgspec.Raw = msgspec.Raw(b"")
    observed_at: str | None = None


class _Marks(msgspec.Struct):
    kind: str | None = None
    apiVersion: str | None = None
    message: str | None = None


class FieldError(Exception):
    """One object cannot be landed."""

    def __init__(self, field: str | None, reason: str, found: Any = "") -> None:
        super().__init__(reason)
        self.field = field
        self.reason = reason
        self.found = str(found)[:500]


@dataclass(frozen=True)
class Sort:
    """What a kind reads: `kind` of the API group that `api_group` begins with ('' for the core's)."""

    kind: str
    api_group: str

    def has(self, kind: str, api_version: str | None) -> bool:
        if kind != self.kind:
            return False
        group, slash, _ = (api_version or "").rpartition("/")
        return api_version is None or (group == self.api_group if slash else not self.api_group)


@dataclass(frozen=True)
class _Record:
    position: int
    observed_at: int
    event_type: str | None
    repairs: str | None
    raw: msgspec.Raw


def land_objects(
    source_object: SourceObject,
    sink: RowSink,
    table: LandingTable,
    sort: Sort,
    read_row: Callable[[msgspec.Raw], dict[str, Any]],
) -> None:
    """Write one row per object of the sort; refuse malformed ones by running number.

    Options: `cluster`, and `observed_at` (ISO time) for what says no time, else the object's own.
    Raises `ObjectRefusedError` when it holds nothing that the Kubernetes API could have answered, or no such sort.
    """
    schema = pa.schema([*table.columns, ("_position", pa.int64()), ("_repairs", pa.string())])
    cluster = source_object.options.get("cluster")
    rows: list[dict[str, Any]] = []
    for record in _iterate_records(source_object, sink, sort):
        try:
            row = read_row(record.raw)
        except FieldError as error:
            sink.refuse_row(record.position, error.field, error.reason, error.found)
            continue
        except (msgspec.DecodeError, UnicodeError) as error:
            sink.refuse_row(record.position, None, f"not a {sort.kind}: {error}", _show(record.raw))
            continue
        row |= {"observed_at": record.observed_at, "event_type": record.event_type, "_repairs": record.repairs}
        row |= {"cluster": None if cluster is None else str(cluster), "_position": record.position}
        rows.append(row)
        if len(rows) >= _ROWS_PER_BATCH:
            sink.write(pa.Table.from_pylist(rows, schema=schema))
            rows.clear()
    if rows:
        sink.write(pa.Table.from_pylist(rows, schema=schema))


def encode(value: Any) -> str | None:
    """JSON text; null for nothing."""
    return _encode(value).decode() if value else None


def read_time(text: str | None, field: str) -> int | None:
    """Microseconds since 1970 of an RFC 3339 time; raises `FieldError`."""
    if not text:
        return None
    try:
        return parse_instant(text)
    except ValueError:
        raise FieldError(field, "not a time: expected RFC 3339 text", text) from None


def read_metadata(metadata: Metadata) -> dict[str, Any]:
    """Columns that every sort of object has; raises `FieldError`."""
    if metadata.namespace is None:
        raise FieldError("metadata.namespace", "missing: it is in a namespace", metadata.name)
    owner = metadata.owner
    return {
        "namespace": metadata.namespace,
        "owner_kind": owner.kind if owner else None,
        "owner": owner.name if owner else None,
        "owner_uid": owner.uid if owner else None,
        "labels": encode(metadata.labels),
        "created_at": read_time(metadata.creationTimestamp, "metadata.creationTimestamp"),
        "deleted_at": read_time(metadata.deletionTimestamp, "metadata.deletionTimestamp"),
    }


def encode_conditions(conditions: Sequence[Condition]) -> str | None:
    """As the API lists them; every time is checked, so that who reads the text can trust it."""
    for condition in conditions:
        read_time(condition.lastTransitionTime, f"status.conditions[{condition.type}].lastTransitionTime")
    return encode([msgspec.to_builtins(condition) for condition in conditions])


def find_transition(conditions: Sequence[Condition], name: str, status: str = "True") -> int | None:
    """When the condition came to be as `status` says; null where it is not so now."""
    for condition in conditions:
        if condition.type == name and condition.status == status:
            return read_time(condition.lastTransitionTime, f"status.conditions[{name}].lastTransitionTime")
    return None


def pick(values: Mapping[str, str], names: Sequence[str]) -> str | None:
    """The first of the names that has a text."""
    return next((values[name] for name in names if values.get(name)), None)


def _iterate_records(source_object: SourceObject, sink: RowSink, sort: Sort) -> Iterator[_Record]:
    untimed_at = read_observed_at(source_object, "observed_at")
    others: set[str] = set()
    has_own = False
    problem = ""
    position = 0
    for text in _iterate_documents(source_object):
        try:
            document = msgspec.json.decode(text, type=_Document)
            observed_at = untimed_at if document.observed_at is None else parse_instant(document.observed_at)
        except (msgspec.DecodeError, ValueError) as error:
            position += 1
            problem = f"not an object of the Kubernetes API: {error}"
            sink.refuse_row(position, None, problem, _show(text))
            continue
        repairs = UNTIMED if document.observed_at is None and "observed_at" not in source_object.options else None
        for kind, api_version, raw in _list_objects(document, text):
            if kind is None or kind == "Status":
                position += 1
                problem = f"the API answered with an error: {_read_marks(raw).message}" if kind else "has no kind"
                sink.refuse_row(position, "kind", problem, _show(raw))
            elif not sort.has(kind, api_version):
                others.add(kind)
            else:
                has_own = True
                position += 1
                yield _Record(position, observed_at, document.type if bytes(document.object) else None, repairs, raw)
        has_own = has_own or document.items == []
    if not has_own:
        raise ObjectRefusedError(
            f"holds no {sort.kind}: {problem or 'expected `kubectl get … -o json`'}",
            field="kind",
            found=", ".join(sorted(others))[:500],
        )


def _list_objects(
    document: _Document, text: bytes | msgspec.Raw
) -> Iterator[tuple[str | None, str | None, msgspec.Raw]]:
    """(kind, API version, object); a typed list says the kind of its items once."""
    if bytes(document.object):
        if document.type != "BOOKMARK":
            marks = _read_marks(document.object)
            yield marks.kind, marks.apiVersion, document.object
    elif document.items is not None:
        kind = (document.kind or "").removesuffix("List") or None
        for item in document.items:
            marks = _read_marks(item)
            yield marks.kind or kind, marks.apiVersion or (document.apiVersion if kind else None), item
    else:
        yield document.kind, document.apiVersion, msgspec.Raw(bytes(text))


def _iterate_documents(source_object: SourceObject) -> Iterator[bytes]:
    """Lines where the first one is a document; else the whole, or documents one after the other, as a watch prints."""
    lines = iterate_lines(source_object)
    first = next(lines, None)
    if first is None:
        raise ObjectRefusedError("the object holds nothing but blanks: deliver it again, or remove it from the source")
    if _is_document(first[1]):
        yield first[1]
        for _, line in lines:
            yield line
        return
    payload = read_payload(source_object)
    if _is_document(payload):
        yield payload
        return
    try:
        text = payload.decode()
    except UnicodeDecodeError as error:
        raise ObjectRefusedError(f"not UTF-8: {error.reason} at byte {error.start}") from error
    decoder, at = json.JSONDecoder(), 0
    while at < len(text):
        try:
            _, end = decoder.raw_decode(text, at)
        except (json.JSONDecodeError, RecursionError) as error:
            raise ObjectRefusedError(f"not JSON: {error}", found=text[at : at + 200]) from error
        yield text[at:end].encode()
        blanks = _BLANKS.match(text, end)
        at = blanks.end() if blanks else end


def _read_marks(raw: msgspec.Raw) -> _Marks:
    try:
        return msgspec.json.decode(raw, type=_Marks)
    except msgspec.DecodeError:
        return _Marks()


def _is_document(text: bytes) -> bool:
    try:
        msgspec.json.decode(text, type=msgspec.Raw)
    except msgspec.DecodeError:
        return False
    return True


def _show(text: bytes | msgspec.Raw) -> str:
    return bytes(text)[:500].decode(errors="replace")
