"""Read any gateway's log of model calls by a field map: JSON lines, JSON documents and CSV, gzip or not.

Source: what a gateway, a proxy or a coding agent writes a line a call, under whatever names; `options.fields` says
which field is which column. Lands with the requests of LiteLLM; prompts are never read. Only the fields named are
landed.
"""

import hashlib
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any, ClassVar, Final
from zoneinfo import ZoneInfo

import msgspec

from ingest.config import LANDING_OPTIONS, STORAGE_OPTIONS
from ingest.contracts import LITELLM_REQUESTS, LandingTable
from ingest.payload import iterate_csv, iterate_lines, iterate_records
from ingest.source import ObjectRefusedError, OptionProblem, RowSink, ServerKind, SourceObject
from ingest.tokens.gateway_fields import (
    COST_UNITS,
    INPUT_CLASSES,
    OUTPUT_CLASSES,
    SECONDS_PER_UNIT,
    FieldMap,
    check_field_map,
    read_field_map,
)
from ingest.tokens.litellm_records import ROW_SCHEMA, BadRecordError, read_record, write_rows

_ROWS_PER_BATCH: Final = 20_000
_LOG_FORMAT: Final = ROW_SCHEMA.get_field_index("log_format")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_FAILED: Final = frozenset({"error", "failed", "failure", "false"})
_TEXTS: Final = {  # fields of the record that a column's text goes to as it is
    "litellm_call_id": "litellm_call_id",
    "trace_id": "trace_id",
    "session_id": "session_id",
    "call_type": "call_type",
    "provider": "custom_llm_provider",
    "model": "model",
    "model_group": "model_group",
    "model_deployment_id": "model_id",
    "api_base": "api_base",
    "organization_id": "organization_id",
    "user_id": "user",
    "end_user_id": "end_user",
    "agent_id": "agent_id",
}
_METADATA_TEXTS: Final = {
    "api_key_hash": "user_api_key_hash",
    "api_key_alias": "user_api_key_alias",
    "team_id": "user_api_key_team_id",
    "team_alias": "user_api_key_team_alias",
    "project_id": "user_api_key_project_id",
}
_NO_COUNTS: Final[dict[str, int | None]] = dict.fromkeys((*INPUT_CLASSES, *OUTPUT_CLASSES))
_COLUMNS: Final = {  # what a refusal names, by the record's name for it
    "startTime": "started_at",
    "endTime": "ended_at",
    "completionStartTime": "first_token_at",
    "response_cost": "gateway_cost_usd",
    "custom_llm_provider": "provider",
}
_decode: Final = msgspec.json.Decoder(float_hook=Decimal).decode
_encode: Final = msgspec.json.Encoder().encode


class GatewayLog:
    """One row per logged call; grain `request_id`, or the line where the log has no id."""

    kind: ClassVar[str] = "gateway_log"
    reader_version: ClassVar[int] = 1
    table: ClassVar[LandingTable] = LITELLM_REQUESTS
    refuses_whole_deliveries: ClassVar[bool] = False
    partition_date_sql: ClassVar[str] = "cast(started_at as date)"
    server: ClassVar[ServerKind | None] = None

    def check_options(self, options: Mapping[str, Any]) -> Iterator[OptionProblem]:
        """What is wrong with the field map."""
        yield from check_field_map(options)

    def read(self, source_object: SourceObject, sink: RowSink) -> None:
        """Write one row per line that `where` admits; refuse malformed ones by line and column.

        Options: see `FieldMap`. Raises `ObjectRefusedError` for what is neither JSON nor CSV with the fields named.
        """
        common = (*STORAGE_OPTIONS, *LANDING_OPTIONS)
        own = {name: value for name, value in source_object.options.items() if name not in common}
        problems = list(check_field_map(own))
        if problems:
            raise ObjectRefusedError(
                f"options.{problems[0].name} of the source: found {problems[0].found}; allowed: {problems[0].allowed}"
            )
        field_map = read_field_map(own)
        reader = _CallReader(field_map, source_object.uri)
        rows: list[tuple[Any, ...]] = []
        positions: list[int] = []
        for position, line in _iterate_objects(source_object, field_map, sink):
            try:
                row = reader.read(position, line)
            except BadRecordError as error:
                sink.refuse_row(position, _COLUMNS.get(error.field or "", error.field), error.reason, error.found)
                continue
            if row is None:
                continue
            rows.append(row)
            positions.append(position)
            if len(rows) >= _ROWS_PER_BATCH:
                write_rows(sink, rows, positions)
        if rows:
            write_rows(sink, rows, positions)


def _iterate_objects(source_object: SourceObject, field_map: FieldMap, sink: RowSink) -> Iterator[tuple[int, Any]]:
    """Yield (line or place, JSON object), or a `BadRecordError` in its place."""
    first = next(iterate_lines(source_object), None)
    if first is None or first[1].lstrip().startswith((b"{", b"[")):
        for position, text in iterate_records(source_object):
            try:
                yield position, _decode(text)
            except (msgspec.DecodeError, UnicodeDecodeError) as error:
                yield position, BadRecordError(None, f"not JSON: {error}", f"{len(bytes(text))} bytes")
        return
    lines = iterate_csv(source_object, sink)
    _, header = next(lines)
    missing = [path for path in field_map.fields.values() if path not in header]
    if missing:
        raise ObjectRefusedError(
            f"neither JSON nor CSV with the column {missing[0]}, which options.fields names: found "
            f"{', '.join(header)[:500]}",
            field=missing[0],
        )
    for position, cells in lines:
        if len(cells) != len(header):
            reason = f"{len(cells)} cells: the line does not fit the header, which has {len(header)}"
            yield position, BadRecordError(None, reason)
        else:
            yield position, dict(zip(header, cells, strict=True))


class _CallReader:
    """Reads the calls of one object, line after line."""

    def __init__(self, field_map: FieldMap, uri: str) -> None:
        self._map = field_map
        self._uri = uri
        self._zone = ZoneInfo(field_map.timezone)
        # A log names few of the columns: the others are not looked for in every line.
        told = {*field_map.fields, *field_map.carried, *field_map.constants}
        self._texts = [(column, name) for column, name in _TEXTS.items() if column in told]
        self._metadata_texts = [(column, name) for column, name in _METADATA_TEXTS.items() if column in told]
        self._classes = [name for name in (*INPUT_CLASSES, *OUTPUT_CLASSES) if name in told]
        self._carried: dict[str, Any] = {}

    def read(self, position: int, line: Any) -> tuple[Any, ...] | None:
        """One row in the order of `ROW_SCHEMA`; None for a line that is no request. Raises `BadRecordError`."""
        if isinstance(line, BadRecordError):
            raise line
        if not isinstance(line, dict):
            raise BadRecordError(None, "not a JSON object", type(line).__name__)
        for column, path in self._map.carried.items():
            if (found := _find(line, path)) is not None:
                self._carried[column] = found
        for path, wanted in self._map.where.items():
            if _show(_find(line, path)) not in wanted:
                return None
        values: dict[str, Any] = {**self._map.constants, **self._carried}
        for column, path in self._map.fields.items():
            if (found := _find(line, path)) is not None:
                values[column] = found
        row = list(read_record(_encode(self._tell(position, values))))
        row[_LOG_FORMAT] = GatewayLog.kind
        return tuple(row)

    def _tell(self, position: int, values: Mapping[str, Any]) -> dict[str, Any]:
        """The line as a record of LiteLLM, which has the same facts under other names."""
        started_at = self._read_instant(values, "started_at")
        prompt_tokens, completion_tokens, usage = self._count_tokens(values)
        record: dict[str, Any] = {
            "id": _show(values.get("request_id")) or f"{self._uri}#{position}",
            "status": _read_status(values.get("status")),
            "startTime": _iso(started_at),
            "endTime": _iso(self._read_instant(values, "ended_at") or self._after(started_at, values, "duration")),
            "completionStartTime": _iso(
                self._read_instant(values, "first_token_at") or self._after(started_at, values, "time_to_first_token")
            ),
            "cache_hit": _read_flag(values.get("is_cache_hit")),
            "stream": _read_flag(values.get("is_stream")),
            "prompt_tokens": prompt_tokens,
            "completion_tokens": completion_tokens,
            "total_tokens": None if self._map.tokens_apart else _count(values, "total_tokens"),
            "response_cost": self._read_cost(values),
            "request_tags": values.get("request_tags"),
            "cost_breakdown": {"service_tier": _show(values.get("service_tier"))},
            "error_information": {"error_class": _show(values.get("error_class"))},
        }
        for column, name in self._texts:
            record[name] = _show(values.get(column))
        metadata = {name: _show(values.get(column)) for column, name in self._metadata_texts}
        if values.get("api_key"):
            metadata["user_api_key_hash"] = hashlib.sha256(str(values["api_key"]).encode()).hexdigest()
        return record | {"metadata": metadata | {"usage_object": usage}}

    def _count_tokens(self, values: Mapping[str, Any]) -> tuple[int | None, int | None, dict[str, Any]]:
        """(input, output, details): totals that hold their parts, also where the log counts some beside them."""
        stated = [_count(values, f"cache_write_{lifetime}_tokens") for lifetime in ("5m", "1h")]
        written = _count(values, "cache_write_tokens")
        if written is None and stated != [None, None]:
            written = sum(count or 0 for count in stated)
        counts = {**_NO_COUNTS, **{name: _count(values, name) for name in self._classes}, "cache_write_tokens": written}
        totals = []
        for total, classes in (("prompt_tokens", INPUT_CLASSES), ("completion_tokens", OUTPUT_CLASSES)):
            inside = _count(values, total)
            if inside is not None and self._map.tokens_apart:
                inside += sum(counts[name] or 0 for name in classes if name in self._map.tokens_apart)
            totals.append(inside)
        usage = {
            "prompt_tokens_details": {
                "cached_tokens": counts["cache_read_tokens"],
                "cache_write_tokens": written,
                "cache_creation_token_details": {
                    "ephemeral_5m_input_tokens": stated[0],
                    "ephemeral_1h_input_tokens": stated[1],
                },
                "audio_tokens": counts["audio_input_tokens"],
                "image_tokens": counts["image_input_tokens"],
            },
            "completion_tokens_details": {
                "reasoning_tokens": counts["reasoning_tokens"],
                "audio_tokens": counts["audio_output_tokens"],
                "image_tokens": counts["image_output_tokens"],
            },
            "server_tool_use": {"web_search_requests": _count(values, "web_search_requests")},
        }
        if any(total is not None for total in totals):
            usage |= {"prompt_tokens": totals[0], "completion_tokens": totals[1]}
        return totals[0], totals[1], usage

    def _read_instant(self, values: Mapping[str, Any], column: str) -> datetime | None:
        value = values.get(column)
        if value is None or value == "":
            return None
        number = _read_number(value)
        try:
            if number is not None:
                since_origin = int(number * 1_000_000 / SECONDS_PER_UNIT[self._map.time_unit])
                return _EPOCH + timedelta(microseconds=self._map.time_origin + since_origin)
            instant = datetime.fromisoformat(str(value).removesuffix(" UTC"))
        except (ValueError, OverflowError):
            reason = (
                f"not a time: expected ISO 8601 text, or a number of {self._map.time_unit} since 1970 or time_origin"
            )
            raise BadRecordError(column, reason, str(value)[:64]) from None
        return (instant if instant.tzinfo else instant.replace(tzinfo=self._zone)).astimezone(UTC)

    def _after(self, started_at: datetime | None, values: Mapping[str, Any], column: str) -> datetime | None:
        value = values.get(column)
        if started_at is None or value is None or value == "":
            return None
        number = _read_number(value)
        if number is None or not 0 <= number < 10**18:
            raise BadRecordError(column, f"not a span of time in {self._map.duration_unit}", str(value)[:64])
        return started_at + timedelta(microseconds=int(number * 1_000_000 / SECONDS_PER_UNIT[self._map.duration_unit]))

    def _read_cost(self, values: Mapping[str, Any]) -> Decimal | None:
        value = values.get("gateway_cost_usd")
        if value is None or value == "":
            return None
        number = _read_number(value)
        if number is None:
            raise BadRecordError("gateway_cost_usd", "not an amount", str(value)[:64])
        return number / COST_UNITS[self._map.cost_unit]


def _find(line: Mapping[str, Any], path: str) -> Any:
    """The value at a path; a key that holds points itself is found before keys inside one another."""
    if path in line:
        return line[path]
    head, _, rest = path.partition(".")
    inside = line.get(head)
    return _find(inside, rest) if rest and isinstance(inside, dict) else None


def _read_number(value: Any) -> Decimal | None:
    if isinstance(value, bool):
        return None
    try:
        number = Decimal(value if isinstance(value, (int, Decimal)) else str(value).strip())
    except InvalidOperation:
        return None
    return number if number.is_finite() else None


def _count(values: Mapping[str, Any], column: str) -> int | None:
    value = values.get(column)
    if value is None or value == "":
        return None
    number = _read_number(value)
    if number is None or number != number.to_integral_value():
        raise BadRecordError(column, "not a count", str(value)[:64])
    return int(number)


def _read_status(value: Any) -> str | None:
    """`success` or `failure`; a number is a code of HTTP."""
    if value is None or value == "":
        return None
    number = _read_number(value)
    if number is not None:
        return "success" if number < 400 else "failure"
    return "failure" if str(value).lower() in _FAILED else "success"


def _read_flag(value: Any) -> bool | None:
    if value is None or value == "":
        return None
    return str(value).lower() in ("true", "1", "yes", "hit")


def _show(value: Any) -> str | None:
    if value is None or value == "":
        return None
    return value if isinstance(value, str) else _encode(value).decode() if isinstance(value, bool) else str(value)


def _iso(instant: datetime | None) -> str | None:
    return None if instant is None else instant.isoformat()
