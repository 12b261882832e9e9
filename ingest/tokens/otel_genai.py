"""Read model calls out of OpenTelemetry traces: OTLP JSON by the GenAI conventions, current and older names.

Source: JSON lines as the collector's file exporter writes them, or one export request a file; gzip or not. A span of
a model call is a request; spans of agents, workflows and tools may repeat what their calls used and are no requests,
and of calls that wrap calls the innermost with usage counts. Lands with the gateways' requests; prompts are never read.
"""

import ast
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar, Final

import msgspec

from ingest.contracts import LITELLM_REQUESTS, LandingTable
from ingest.payload import JSON_ERRORS, iterate_lines, read_payload
from ingest.source import ObjectRefusedError, RowSink, ServerKind, SourceObject
from ingest.tokens.litellm_records import ROW_SCHEMA, BadRecordError, read_record, write_rows
from ingest.tokens.otel_spans import (
    Node,
    Span,
    Traces,
    decode_export,
    decode_span,
    has_usage,
    is_model_call,
    read_attributes,
)

_ROWS_PER_BATCH: Final = 20_000
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_LOG_FORMAT: Final = ROW_SCHEMA.get_field_index("log_format")
_EXTRA: Final = ROW_SCHEMA.get_field_index("_extra")
_REPAIRS: Final = ROW_SCHEMA.get_field_index("_repairs")
PROVIDERS: Final = {  # the conventions' names, old and new, as gateways spell them
    "az.ai.openai": "azure",
    "azure.ai.openai": "azure",
    "az.ai.inference": "azure_ai",
    "azure.ai.inference": "azure_ai",
    "aws.bedrock": "bedrock",
    "gcp.vertex_ai": "vertex_ai",
    "gcp.gemini": "gemini",
    "gcp.gen_ai": "gemini",
    "mistral_ai": "mistral",
    "x_ai": "xai",
    "ibm.watsonx.ai": "watsonx",
}
# For each column the attributes that give it, first match wins: of the span, of the spans above it, of the sender.
_OWNERS: Final = {
    "team_id": ("metadata.user_api_key_team_id", "metadata.team_id", "team.id"),
    "team_alias": ("metadata.user_api_key_team_alias", "metadata.team_alias"),
    "organization_id": ("metadata.user_api_key_org_id",),
    "project_id": ("metadata.user_api_key_project_id",),
    "api_key_hash": ("metadata.user_api_key_hash",),
    "api_key_alias": ("metadata.user_api_key_alias",),
    "user_id": ("metadata.user_api_key_user_id", "llm.user", "user.id"),
    "end_user_id": ("metadata.user_api_key_end_user_id", "enduser.id"),
    "agent_id": ("gen_ai.agent.id", "gen_ai.agent.name"),
    "session_id": ("gen_ai.conversation.id", "session.id"),
}
_FIELDS: Final = {  # what a refusal names, by the record's name for it
    "id": "spanId",
    "model": "gen_ai.response.model",
    "startTime": "startTimeUnixNano",
    "endTime": "endTimeUnixNano",
    "prompt_tokens": "gen_ai.usage.input_tokens",
    "completion_tokens": "gen_ai.usage.output_tokens",
    "response_cost": "gen_ai.cost.total_cost",
}
_encode: Final = msgspec.json.Encoder(order="deterministic").encode


class OtelGenai:
    """One row per model call; grain `request_id`, the provider's response id, or the span where there is none."""

    kind: ClassVar[str] = "otel_genai"
    reader_version: ClassVar[int] = 1
    table: ClassVar[LandingTable] = LITELLM_REQUESTS
    refuses_whole_deliveries: ClassVar[bool] = False
    partition_date_sql: ClassVar[str] = "cast(started_at as date)"
    server: ClassVar[ServerKind | None] = None

    def read(self, source_object: SourceObject, sink: RowSink) -> None:
        """Write one row per model call; refuse malformed spans by running number.

        Option `attributes`: by column (team_id, user_id, ...), the attribute that gives it before the usual ones.
        Raises `ObjectRefusedError` for what holds no export of spans.
        """
        owners = _choose_owners(source_object.options)
        traces = _link_traces(source_object, owners)
        rows: list[tuple[Any, ...]] = []
        positions: list[int] = []
        for position, sender, raw in _iterate_spans(source_object):
            try:
                span = _decode_span(raw)
                attributes = read_attributes(span.attributes)
                if not is_model_call(attributes) or traces.is_repeated(span.traceId, span.spanId):
                    continue
                rows.append(_read_call(span, attributes, sender, traces, owners))
                positions.append(position)
            except BadRecordError as error:
                field = _FIELDS.get(error.field or "", error.field)
                sink.refuse_row(position, field, error.reason, error.found)
            if len(rows) >= _ROWS_PER_BATCH:
                write_rows(sink, rows, positions)
        if rows:
            write_rows(sink, rows, positions)


def _choose_owners(options: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    chosen = options.get("attributes", {})
    if not isinstance(chosen, dict) or not chosen.keys() <= _OWNERS.keys():
        raise ObjectRefusedError(
            f"option attributes: expected a map of {', '.join(_OWNERS)} to attribute names", found=str(chosen)[:200]
        )
    return {column: (*([str(chosen[column])] if column in chosen else []), *names) for column, names in _OWNERS.items()}


def _link_traces(source_object: SourceObject, owners: Mapping[str, tuple[str, ...]]) -> Traces:
    """Ids and owners of all spans: a call is told apart from what wraps it, and attributed by what is above it."""
    wanted = {name for names in owners.values() for name in names}
    traces = Traces()
    for _, _, raw in _iterate_spans(source_object):
        try:
            span = _decode_span(raw)
        except BadRecordError:
            continue  # refused when it is read
        attributes = read_attributes(span.attributes)
        inherited = {name: attributes[name] for name in wanted & attributes.keys()}
        node = Node(span.parentSpanId, is_model_call(attributes), has_usage(attributes), inherited)
        traces.add(span.traceId, span.spanId, node)
    traces.link()
    return traces


def _iterate_spans(source_object: SourceObject) -> Iterator[tuple[int, dict[str, Any], msgspec.Raw]]:
    """Yield (running number, attributes of the sender, span); a line that is no export stands for one broken span."""
    position = 0
    has_export = False
    problem = "expected `resourceSpans`"
    for number, text in _iterate_documents(source_object):
        try:
            export = decode_export(text)
        except JSON_ERRORS as error:
            position += 1
            problem = f"line {number}: {error}"
            yield position, {}, msgspec.Raw(b"")
            continue
        if export.resourceSpans is None:
            if export.resourceMetrics is not msgspec.UNSET:
                raise ObjectRefusedError(
                    "metrics: they count tokens and name no request; send traces", field="resourceMetrics"
                )
            continue  # logs, or an empty export
        has_export = True
        for group in export.resourceSpans:
            sender = read_attributes(group.resource.attributes if group.resource else ())
            for scope in group.scopeSpans:
                for raw in scope.spans:
                    position += 1
                    yield position, sender, raw
    if not has_export:
        raise ObjectRefusedError(f"no export of spans: {problem}", field="resourceSpans")


def _iterate_documents(source_object: SourceObject) -> Iterator[tuple[int, bytes]]:
    """Lines, or the whole where its first line is no document of its own."""
    lines = iterate_lines(source_object)
    first = next(lines, None)
    if first is None:
        return
    try:
        msgspec.json.decode(first[1], type=msgspec.Raw)
    except JSON_ERRORS:
        yield 1, read_payload(source_object)
        return
    yield first
    yield from lines


def _decode_span(raw: msgspec.Raw) -> Span:
    try:
        span = decode_span(raw)
    except JSON_ERRORS as error:
        raise BadRecordError("spans", f"not a span of an OTLP export: {error}") from error
    if not span.traceId or not span.spanId:
        raise BadRecordError("spanId", "missing: every span needs its ids")
    return span


def _read_call(
    span: Span,
    attributes: Mapping[str, Any],
    sender: Mapping[str, Any],
    traces: Traces,
    owners: Mapping[str, tuple[str, ...]],
) -> tuple[Any, ...]:
    """One row: the span told as a gateway's record, which has the same facts under other names."""

    places = [place for place in (attributes, traces.inherit(span.traceId, span.parentSpanId), sender) if place]

    def find(column: str) -> Any:
        for place in places:
            for name in owners[column]:
                if name in place:
                    return str(place[name])
        return None

    def pick(*names: str) -> Any:
        for name in names:
            if name in attributes:
                return attributes[name]
        return None

    repairs: list[str] = []
    is_error = (span.status is not None and span.status.code in (2, "STATUS_CODE_ERROR")) or "error.type" in attributes
    provider = pick("gen_ai.provider.name", "gen_ai.system")
    prompt_tokens, completion_tokens, usage = _read_usage(pick, repairs)
    first_chunk = pick("gen_ai.response.time_to_first_chunk")
    started_at = _read_nanoseconds(span.startTimeUnixNano, "startTimeUnixNano")
    record = {
        "id": pick("gen_ai.response.id") or f"{span.traceId}/{span.spanId}",
        "litellm_call_id": pick("litellm.call_id"),
        "trace_id": span.traceId,
        "session_id": find("session_id"),
        "call_type": pick("gen_ai.operation.name", "llm.request.type"),
        "status": "failure" if is_error else "success",
        "custom_llm_provider": None if provider is None else PROVIDERS.get(str(provider), str(provider)),
        "model": pick("gen_ai.response.model", "gen_ai.request.model"),
        "model_group": pick("gen_ai.request.model"),
        "api_base": pick("server.address"),
        "end_user": find("end_user_id"),
        "agent_id": find("agent_id"),
        "startTime": None if started_at is None else _show(started_at),
        "endTime": _show(_read_nanoseconds(span.endTimeUnixNano, "endTimeUnixNano")),
        "completionStartTime": None
        if first_chunk is None or started_at is None
        else _show(started_at + timedelta(seconds=float(first_chunk))),
        "stream": {"True": True, "False": False}.get(str(pick("gen_ai.request.stream", "llm.is_streaming"))),
        "prompt_tokens": prompt_tokens,
        "completion_tokens": completion_tokens,
        "total_tokens": _count(pick("gen_ai.usage.total_tokens")),
        "response_cost": pick("gen_ai.cost.total_cost"),
        "cost_breakdown": {
            "service_tier": pick(
                "openai.response.service_tier", "gen_ai.openai.response.service_tier", "gen_ai.response.service_tier"
            )
        },
        "error_information": {"error_class": pick("error.type")},
        "metadata": {
            "user_api_key_hash": find("api_key_hash"),
            "user_api_key_alias": find("api_key_alias"),
            "user_api_key_team_id": find("team_id"),
            "user_api_key_team_alias": find("team_alias"),
            "user_api_key_org_id": find("organization_id"),
            "user_api_key_project_id": find("project_id"),
            "user_api_key_user_id": find("user_id"),
            "usage_object": usage,
        },
    }
    row = list(read_record(_encode(record)))
    row[_LOG_FORMAT] = "otel_genai"
    row[_EXTRA] = _encode({"resource": dict(sender)}).decode() if sender else None
    row[_REPAIRS] = ",".join([*filter(None, [row[_REPAIRS]]), *repairs]) or None
    return tuple(row)


def _read_usage(pick: Any, repairs: list[str]) -> tuple[int | None, int | None, dict[str, Any] | None]:
    """(input, output, details): totals hold their parts, also where the emitter left cached tokens out of its input."""
    prompt = _count(pick("gen_ai.usage.input_tokens", "gen_ai.usage.prompt_tokens"))
    completion = _count(pick("gen_ai.usage.output_tokens", "gen_ai.usage.completion_tokens"))
    read = _count(pick("gen_ai.usage.cache_read.input_tokens", "gen_ai.usage.cache_read_input_tokens"))
    written = _count(pick("gen_ai.usage.cache_creation.input_tokens", "gen_ai.usage.cache_creation_input_tokens"))
    reasoning = _count(pick("gen_ai.usage.reasoning.output_tokens"))
    if (read, written, reasoning) == (None, None, None):
        return prompt, completion, _read_litellm_usage(pick("metadata.usage_object"))
    cached = (read or 0) + (written or 0)
    if prompt is not None and cached > prompt:
        prompt += cached
        repairs.append("input_without_cache")
    details = {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "cache_read_input_tokens": read,
        "cache_creation_input_tokens": written,
        "completion_tokens_details": {"reasoning_tokens": reasoning},
    }
    return prompt, completion, details


def _read_litellm_usage(text: Any) -> dict[str, Any] | None:
    """LiteLLM writes its usage as Python does, not as JSON."""
    try:
        usage = ast.literal_eval(text) if isinstance(text, str) else None
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        return None
    return usage if isinstance(usage, dict) else None


def _count(value: Any) -> int | None:
    """A count as it stands; text that is none stays, and is refused with its field."""
    try:
        return None if value is None else int(value)
    except (TypeError, ValueError):
        raise BadRecordError("gen_ai.usage", "not a count of tokens", str(value)[:64]) from None


def _read_nanoseconds(value: int | str | None, field: str) -> datetime | None:
    if value is None or value in ("", "0", 0):
        return None
    try:
        return _EPOCH + timedelta(microseconds=int(value) // 1000)
    except (ValueError, OverflowError):
        raise BadRecordError(field, "not nanoseconds since 1970", str(value)[:64]) from None


def _show(instant: datetime | None) -> str | None:
    return None if instant is None else instant.isoformat()
