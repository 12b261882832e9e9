"""Read LiteLLM gateway logs: StandardLoggingPayload and SpendLogs records, told apart record by record.

Source: JSON lines (`.jsonl`, `.ndjson`, gzip or not) as the S3 and GCS loggers batch them, or one object (or array of
objects) a file, or the proxy's Postgres, asked (`litellm_postgres`). Records run to 10 kB since the price row in force
is embedded; only the fields named here are decoded. Prompts and responses are never landed, nor quoted in quarantine.
"""

from typing import Any, ClassVar, Final

from ingest.contracts import LITELLM_REQUESTS, LandingTable
from ingest.payload import iterate_records
from ingest.source import ObjectRefusedError, RowSink, ServerKind, SourceObject
from ingest.tokens.litellm_postgres import LitellmPostgresKind
from ingest.tokens.litellm_records import BadRecordError, read_record, write_rows

_ROWS_PER_BATCH: Final = 20_000
_LINES_TO_JUDGE_KIND: Final = 1_000


class Litellm:
    """One row per gateway call; grain `request_id` as the gateway logged it, duplicates included."""

    kind: ClassVar[str] = "litellm"
    reader_version: ClassVar[int] = 1
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
        for position, line in iterate_records(source_object):
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
                write_rows(sink, rows, positions)
        if last_position == 0:
            raise ObjectRefusedError("the object holds no record: deliver it again, or remove it from the source")
        if not is_kind_known:
            raise _wrong_kind(held)
        _refuse(sink, held)
        if rows:
            write_rows(sink, rows, positions)


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
