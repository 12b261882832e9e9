"""Read LiteLLM gateway logs: StandardLoggingPayload and SpendLogs records, told apart record by record.

Source: JSON lines (`.jsonl`, `.ndjson`, gzip or not) as the S3 and GCS loggers batch them, or one object (or array of
objects) a file, or the proxy's Postgres, asked (`litellm_postgres`). Records run to 10 kB since the price row in force
is embedded; only the fields named here are decoded. Prompts and responses are never landed, nor quoted in quarantine.
"""

from collections.abc import Iterator
from typing import Any, ClassVar, Final

import msgspec
import pyarrow as pa

from ingest.contracts import LITELLM_REQUESTS, LandingTable
from ingest.payload import iterate_lines, read_payload
from ingest.source import ObjectRefusedError, RowSink, ServerKind, SourceObject
from ingest.tokens.litellm_postgres import LitellmPostgresKind
from ingest.tokens.litellm_records import ROW_SCHEMA, BadRecordError, read_record

_ROWS_PER_BATCH: Final = 20_000
_LINES_TO_JUDGE_KIND: Final = 1_000
_DOCUMENT_STARTS: Final = (b"{", b"[")


class Litellm:
    """One row per gateway call; grain `request_id` as the gateway logged it, duplicates included."""

    kind: ClassVar[str] = "litellm"
    table: ClassVar[LandingTable] = LITELLM_REQUESTS
    refuses_whole_deliveries: ClassVar[bool] = False
    partition_date_sql: ClassVar[str] = "cast(started_at as date)"
    server: ClassVar[ServerKind | None] = LitellmPostgresKind()

    def read(self, source_object: SourceObject, sink: RowSink) -> None:
        """Write one row per readable record; refuse the others by line (or by place in the array) and field.

        Raises `ObjectRefusedError` for an empty or truncated object and when none of its lines is a JSON object.
        """
        rows: list[tuple[Any, ...]] = []
        positions: list[int] = []
        held: list[tuple[int, BadRecordError]] = []
        is_kind_known = False
        last_position = 0
        for position, line in _iterate_records(source_object):
            last_position = position
            try:
                row = read_record(line)
            except BadRecordError as error:
                is_kind_known = is_kind_known or error.is_object
                held.append((position, error))
            else:
                is_kind_known = True
                rows.append(row)
                positions.append(position)
            if not is_kind_known:
                if len(held) >= _LINES_TO_JUDGE_KIND:
                    raise _wrong_kind(held)
                continue
            if held:
                _refuse(sink, held)
            if len(rows) >= _ROWS_PER_BATCH:
                _write(sink, rows, positions)
        if last_position == 0:
            raise ObjectRefusedError("the object holds no record: deliver it again, or remove it from the source")
        if not is_kind_known:
            raise _wrong_kind(held)
        _refuse(sink, held)
        if rows:
            _write(sink, rows, positions)


def _iterate_records(source_object: SourceObject) -> Iterator[tuple[int, bytes | msgspec.Raw]]:
    """Yield (position, JSON text of one record), from lines or from one JSON document."""
    for number, line in iterate_lines(source_object):
        start = line.strip()
        # A record on a line of its own starts with a brace and its first key; a bracket, or a brace alone, opens a
        # document that goes on below.
        if start in _DOCUMENT_STARTS or start.startswith(b"["):
            yield from _iterate_document(source_object)
            return
        yield number, line
        break
    lines = iterate_lines(source_object)
    next(lines, None)
    yield from lines


def _iterate_document(source_object: SourceObject) -> Iterator[tuple[int, msgspec.Raw]]:
    payload = read_payload(source_object)
    try:
        if payload.lstrip().startswith(b"["):
            records = msgspec.json.decode(payload, type=list[msgspec.Raw])
        else:
            records = [msgspec.json.decode(payload, type=msgspec.Raw)]
    except msgspec.DecodeError as error:
        raise ObjectRefusedError(
            f"not one JSON document: {error}: expected JSON lines, one object, or an array of objects"
        ) from error
    yield from enumerate(records, start=1)


def _write(sink: RowSink, rows: list[tuple[Any, ...]], positions: list[int]) -> None:
    columns = [pa.array(values, field.type) for values, field in zip(zip(*rows, strict=True), ROW_SCHEMA, strict=True)]
    table = pa.Table.from_arrays(columns, schema=ROW_SCHEMA)
    sink.write(table.append_column("_position", pa.array(positions, pa.int64())))
    rows.clear()
    positions.clear()


def _refuse(sink: RowSink, held: list[tuple[int, BadRecordError]]) -> None:
    for position, error in held:
        sink.refuse_row(position, error.field, error.reason, error.found)
    held.clear()


def _wrong_kind(held: list[tuple[int, BadRecordError]]) -> ObjectRefusedError:
    position, error = held[0]
    return ObjectRefusedError(
        f"no line is a JSON object: expected LiteLLM records, one a line; line {position}: {error.reason}",
        position=position,
        found=error.found,
    )
