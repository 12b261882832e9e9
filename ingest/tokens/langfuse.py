"""Read model calls out of Langfuse exports: traces with their observations, and observations alone.

Source: the UI's and the API's JSON (a trace, a page of `data`, an array), and JSON lines as the blob storage export
writes them, keys in camel or snake case; gzip or not. An observation that states usage is a request; one that has such
an observation below it repeats what that one used and is none. Lands with the gateways' requests; inputs and outputs
are never read.
"""

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any, ClassVar, Final

import msgspec

from ingest.contracts import LITELLM_REQUESTS, LandingTable
from ingest.payload import iterate_records
from ingest.source import ObjectRefusedError, OptionProblem, RowSink, ServerKind, SourceObject
from ingest.tokens.langfuse_usage import read_usage
from ingest.tokens.litellm_records import ROW_SCHEMA, BadRecordError, read_record, write_rows
from ingest.tokens.otel_genai import PROVIDERS

_ROWS_PER_BATCH: Final = 20_000
_LOG_FORMAT: Final = ROW_SCHEMA.get_field_index("log_format")
_REPAIRS: Final = ROW_SCHEMA.get_field_index("_repairs")
_CALLS: Final = ("GENERATION", "EMBEDDING")
_FIELDS: Final = {"response_cost": "totalCost", "prompt_tokens": "usageDetails", "completion_tokens": "usageDetails"}
_GOOGLE: Final = {"google-gla": "gemini", "google-vertex": "vertex_ai"}  # as Pydantic AI calls them
_decode: Final = msgspec.json.Decoder(float_hook=Decimal).decode
_encode: Final = msgspec.json.Encoder().encode

Observation = Mapping[str, Any]


class Langfuse:
    """One row per model call; grain `request_id`, the provider's response id, or the observation's."""

    kind: ClassVar[str] = "langfuse"
    reader_version: ClassVar[int] = 1
    table: ClassVar[LandingTable] = LITELLM_REQUESTS
    refuses_whole_deliveries: ClassVar[bool] = False
    partition_date_sql: ClassVar[str] = "cast(started_at as date)"
    server: ClassVar[ServerKind | None] = None

    def check_options(self, options: Mapping[str, Any]) -> Iterator[OptionProblem]:
        """`provider`: of calls that do not name theirs."""
        for name in options:
            if name != "provider":
                yield OptionProblem(name, "an unknown option", "provider")
        if not isinstance(options.get("provider", "openai"), str):
            yield OptionProblem("provider", repr(options["provider"]), "a name, such as openai")

    def read(self, source_object: SourceObject, sink: RowSink) -> None:
        """Write one row per model call; refuse malformed observations by running number.

        Raises `ObjectRefusedError` for what holds no observation.
        """
        above = _list_above_usage(source_object)
        provider = source_object.options.get("provider")
        rows: list[tuple[Any, ...]] = []
        positions: list[int] = []
        found = False
        for position, trace, observation in _iterate_observations(source_object):
            found = True
            if isinstance(observation, BadRecordError):
                sink.refuse_row(position, observation.field, observation.reason, observation.found)
                continue
            if not _is_call(observation) or _get(observation, "id") in above:
                continue
            try:
                rows.append(_read_call(trace, observation, provider))
            except BadRecordError as error:
                sink.refuse_row(position, _FIELDS.get(error.field or "", error.field), error.reason, error.found)
                continue
            positions.append(position)
            if len(rows) >= _ROWS_PER_BATCH:
                write_rows(sink, rows, positions)
        if not found:
            raise ObjectRefusedError("no observation: expected traces with `observations`, or observations", field="id")
        if rows:
            write_rows(sink, rows, positions)


def _get(record: Observation, name: str) -> Any:
    """A field by its name in camel case, or in the snake case of the blob storage export."""
    if name in record:
        return record[name]
    return record.get("".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name))


def _iterate_observations(
    source_object: SourceObject,
) -> Iterator[tuple[int, Observation, Observation | BadRecordError]]:
    """Yield (running number, its trace, observation), or an error in its place."""
    position = 0
    for _, text in iterate_records(source_object):
        try:
            record = _decode(text)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            position += 1
            yield position, {}, BadRecordError(None, f"not JSON: {error}", f"{len(bytes(text))} bytes")
            continue
        for trace, observation in _unfold(record):
            position += 1
            yield position, trace, observation


def _unfold(record: Any) -> Iterator[tuple[Observation, Observation | BadRecordError]]:
    """(trace, observation) of a trace, a page, an array or an observation."""
    if isinstance(record, list):
        for item in record:
            yield from _unfold(item)
    elif not isinstance(record, dict):
        yield {}, BadRecordError(None, "not a JSON object", type(record).__name__)
    elif isinstance(record.get("data"), list):
        yield from _unfold(record["data"])
    elif isinstance(record.get("observations"), list):
        trace = record["trace"] if isinstance(record.get("trace"), dict) else record
        for item in record["observations"]:
            if isinstance(item, dict):
                yield trace, item
            elif not isinstance(item, str):  # a trace in a list names its observations
                yield trace, BadRecordError("observations", "not a JSON object", type(item).__name__)
    elif "type" in record and (_get(record, "startTime") is not None or _get(record, "traceId") is not None):
        yield {}, record
    else:
        yield {}, BadRecordError("type", "neither a trace with observations nor an observation")


def _is_call(observation: Observation) -> bool:
    return _get(observation, "type") in _CALLS or bool(_get(observation, "usageDetails"))


def _list_above_usage(source_object: SourceObject) -> set[str]:
    """Ids of the observations that have one with usage somewhere below them."""
    parents: dict[str, str] = {}
    used: list[str] = []
    for _, _, observation in _iterate_observations(source_object):
        if isinstance(observation, BadRecordError):
            continue
        own, parent = _get(observation, "id"), _get(observation, "parentObservationId")
        if isinstance(own, str) and isinstance(parent, str):
            parents[own] = parent
        if isinstance(own, str) and _get(observation, "usageDetails"):
            used.append(own)
    above: set[str] = set()
    for own in used:
        parent = parents.get(own)
        while parent is not None and parent not in above:
            above.add(parent)
            parent = parents.get(parent)
    return above


def _read_call(trace: Observation, observation: Observation, provider: str | None) -> tuple[Any, ...]:
    """One row: the observation told as a gateway's record, which has the same facts under other names."""
    repairs: list[str] = []
    attributes = _read_attributes(_get(observation, "metadata"))
    prompt_tokens, completion_tokens, usage = read_usage(_get(observation, "usageDetails"), repairs)
    system = attributes.get("gen_ai.provider.name") or attributes.get("gen_ai.system") or provider
    model = attributes.get("gen_ai.response.model") or _get(observation, "model")
    tags = _get(trace, "tags") or _get(observation, "tags")
    record = {
        "id": attributes.get("gen_ai.response.id") or _get(observation, "id"),
        "trace_id": _get(observation, "traceId") or _get(trace, "id"),
        "session_id": _get(trace, "sessionId") or _get(observation, "sessionId"),
        "call_type": _get(observation, "type"),
        "status": "failure" if _get(observation, "level") == "ERROR" else "success",
        "custom_llm_provider": None if system is None else {**PROVIDERS, **_GOOGLE}.get(str(system), str(system)),
        "model": model or _get(observation, "providedModelName"),
        "model_group": attributes.get("gen_ai.request.model"),
        "end_user": _get(trace, "userId") or _get(observation, "userId"),
        "startTime": _get(observation, "startTime"),
        "endTime": _get(observation, "endTime"),
        "completionStartTime": _get(observation, "completionStartTime"),
        "prompt_tokens": prompt_tokens,
        "completion_tokens": completion_tokens,
        "response_cost": _read_cost(observation),
        "request_tags": tags if isinstance(tags, list) else None,
        "metadata": {"usage_object": usage},
    }
    row = list(read_record(_encode(record)))
    row[_LOG_FORMAT] = Langfuse.kind
    row[_REPAIRS] = ",".join([*filter(None, [row[_REPAIRS]]), *repairs]) or None
    return tuple(row)


def _read_attributes(metadata: Any) -> Mapping[str, Any]:
    """OpenTelemetry's attributes of the call, which Langfuse keeps in its metadata, as JSON or as text of it."""
    try:
        read = _decode(metadata) if isinstance(metadata, str) and metadata else metadata
    except msgspec.DecodeError:
        return {}
    attributes = read.get("attributes") if isinstance(read, dict) else None
    return attributes if isinstance(attributes, dict) else {}


def _read_cost(observation: Observation) -> Any:
    """What Langfuse made of its own price list; one figure stands there under up to three names."""
    details = _get(observation, "costDetails")
    total = _get(observation, "totalCost")
    return details.get("total") if total is None and isinstance(details, dict) else total
