"""One LiteLLM record: from its JSON text to one row of the contract, or the field that is wrong and why."""

import hashlib
import math
import re
from decimal import Decimal
from typing import Any, Final, Literal

import msgspec
import pyarrow as pa
from msgspec import UNSET, UnsetType

from ingest.contracts import LITELLM_REQUESTS
from ingest.source import RowSink
from ingest.tokens.litellm_usage import (
    DETAIL_COLUMNS,
    NO_DETAILS,
    Usage,
    is_reporting_counts,
    read_token_details,
    read_usages,
)
from ingest.values import ROUNDED_MONEY, parse_instant, round_money

_LATEST_EPOCH_SECONDS: Final = 4_102_444_800  # year 2100: beyond it a number is milliseconds, not seconds
_TOOL_CALL_TYPES: Final = frozenset({"call_mcp_tool", "list_mcp_tools"})  # rows without a model call: truly 0 tokens
_LARGEST_COUNT: Final = 2**53
_NOT_FINITE: Final = re.compile(rb"(?<=[:\[,])\s*-?(?:NaN|Infinity)(?=\s*[,}\]])")
_FLAGS: Final = {True: True, False: False, "True": True, "true": True, "False": False, "false": False}
_COUNT_FIELDS: Final = ("prompt_tokens", "completion_tokens", "total_tokens", *DETAIL_COLUMNS)
_NO_COUNTS: Final = (None, None, None)

ROW_SCHEMA: Final = pa.schema([*LITELLM_REQUESTS.columns, ("_extra", pa.string()), ("_repairs", pa.string())])
"""What `read_record` returns: the contract's columns in order, then what is mended and kept beside them."""


class BadRecordError(Exception):
    """A record that cannot be landed. `is_object` tells whether it was at least a JSON object."""

    def __init__(self, field: str | None, reason: str, found: str = "", *, is_object: bool = True) -> None:
        super().__init__(reason)
        self.field = field
        self.reason = reason
        self.found = found
        self.is_object = is_object


class CostBreakdown(msgspec.Struct, gc=False):
    """What the gateway says its price is made of; only the tier is read."""

    service_tier: str | None = None


class ErrorInformation(msgspec.Struct, gc=False):
    """Why a call failed."""

    error_class: str | None = None


class Metadata(msgspec.Struct, gc=False):
    """`metadata` of both formats; operators can leave out any of its keys."""

    user_api_key_hash: str | None = None
    user_api_key: str | None = None
    user_api_key_alias: str | None = None
    user_api_key_team_id: str | None = None
    user_api_key_team_alias: str | None = None
    user_api_key_org_id: str | None = None
    user_api_key_project_id: str | None = None
    user_api_key_user_id: str | None = None
    user_api_key_end_user_id: str | None = None
    team_id: str | None = None
    litellm_call_id: str | None = None
    status: str | None = None
    usage_object: Usage | str | None = None
    additional_usage_values: Usage | str | None = None
    cost_breakdown: CostBreakdown | None = None
    error_information: ErrorInformation | None = None
    spend_logs_metadata: msgspec.Raw | UnsetType = UNSET


class HiddenParameters(msgspec.Struct, gc=False):
    """`hidden_params`, where some versions keep the usage."""

    usage_object: Usage | str | None = None


class Record(msgspec.Struct, gc=False):
    """Fields of either format that are landed; all else in a record is skipped without being decoded."""

    id: str | UnsetType | None = UNSET
    request_id: str | UnsetType | None = UNSET
    litellm_call_id: str | None = None
    trace_id: str | None = None
    session_id: str | None = None
    call_type: str | None = None
    status: str | None = None
    custom_llm_provider: str | None = None
    model: str | None = None
    model_group: str | None = None
    model_id: str | None = None
    api_base: str | None = None
    api_key: str | None = None
    team_id: str | None = None
    organization_id: str | None = None
    user: str | None = None
    end_user: str | None = None
    agent_id: str | None = None
    cache_hit: bool | str | None = None
    stream: bool | None = None
    # The source's own spellings.
    startTime: float | str | None = None
    endTime: float | str | None = None
    completionStartTime: float | str | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    total_tokens: int | None = None
    response_cost: Decimal | UnsetType | None = UNSET
    spend: Decimal | UnsetType | None = UNSET
    response_cost_failure_debug_info: msgspec.Raw | UnsetType = UNSET
    request_tags: list[Any] | dict[str, Any] | str | None = None
    cost_breakdown: CostBreakdown | None = None
    error_information: ErrorInformation | None = None
    metadata: Metadata | str | None = None
    hidden_params: HiddenParameters | None = None
    response: msgspec.Raw | UnsetType = UNSET
    mcp_namespaced_tool_name: str | None = None


_decode_record: Final = msgspec.json.Decoder(Record).decode
_decode_lenient_record: Final = msgspec.json.Decoder(Record, strict=False).decode
_decode_metadata: Final = msgspec.json.Decoder(Metadata).decode
_encode: Final = msgspec.json.Encoder(order="deterministic").encode


def read_record(line: bytes | msgspec.Raw) -> tuple[Any, ...]:
    """One row, its values in the order of `ROW_SCHEMA`.

    Raises `BadRecordError` naming the field: not a JSON object, a field of another type, a missing id, startTime or
    model, a negative count, an end before its start.
    """
    repairs: list[str] = []
    record = _decode(line, repairs)
    metadata = _read_metadata(record.metadata)
    log_format = _tell_format(record)
    id_field, cost_field = ("request_id", "spend") if log_format == "spend_logs" else ("id", "response_cost")
    request_id = record.request_id if log_format == "spend_logs" else record.id
    if not request_id:
        raise BadRecordError(id_field, "missing: every record needs its id")
    if not record.model:
        raise BadRecordError("model", "missing: a call without a model has no price")
    started_at = _read_instant(record.startTime, "startTime")
    if started_at is None:
        raise BadRecordError("startTime", "missing: a call without a time has no day")
    ended_at = _read_instant(record.endTime, "endTime")
    if ended_at is not None and ended_at < started_at:
        raise BadRecordError(
            "endTime", "ends before it starts", f"startTime {record.startTime}, endTime {record.endTime}"
        )
    status = record.status or metadata.status or None
    usages = read_usages(
        metadata.usage_object,
        metadata.additional_usage_values,
        None if record.hidden_params is None else record.hidden_params.usage_object,
        record.response,
    )
    usage_status, counts, details = _read_tokens(record, usages, status, repairs)
    error_information = record.error_information or metadata.error_information
    cost_breakdown = record.cost_breakdown or metadata.cost_breakdown
    # A tuple in the order of ROW_SCHEMA: a dict a row costs a third of the reading time.
    return (
        request_id,
        record.litellm_call_id or metadata.litellm_call_id or None,
        record.trace_id or None,
        record.session_id or None,
        record.call_type or None,
        status,
        record.custom_llm_provider or None,
        record.model,
        record.model_group or None,
        record.model_id or None,
        record.api_base or None,
        _read_key_hash(record.api_key or metadata.user_api_key_hash or metadata.user_api_key, repairs),
        metadata.user_api_key_alias or None,
        metadata.user_api_key_team_id or record.team_id or metadata.team_id or None,
        metadata.user_api_key_team_alias or None,
        record.organization_id or metadata.user_api_key_org_id or None,
        metadata.user_api_key_project_id or None,
        record.user or metadata.user_api_key_user_id or None,
        record.end_user or metadata.user_api_key_end_user_id or None,
        record.agent_id or None,
        _read_tags(record.request_tags, repairs) if record.request_tags else None,
        None if cost_breakdown is None else cost_breakdown.service_tier or None,
        None if error_information is None else error_information.error_class or None,
        log_format,
        usage_status,
        None if record.cache_hit is None else _FLAGS.get(record.cache_hit),
        record.stream,
        started_at,
        ended_at,
        _read_instant(record.completionStartTime, "completionStartTime"),
        *counts,
        *details,
        _read_cost(record, cost_field, repairs),
        _read_extra(record, metadata),
        ",".join(repairs) or None,
    )


def write_rows(sink: RowSink, rows: list[tuple[Any, ...]], positions: list[int]) -> None:
    """Hand rows of `ROW_SCHEMA` with their positions to the sink, and forget them."""
    columns = [pa.array(values, field.type) for values, field in zip(zip(*rows, strict=True), ROW_SCHEMA, strict=True)]
    table = pa.Table.from_arrays(columns, schema=ROW_SCHEMA)
    sink.write(table.append_column("_position", pa.array(positions, pa.int64())))
    rows.clear()
    positions.clear()


def _decode(line: bytes | msgspec.Raw, repairs: list[str]) -> Record:
    try:
        return _decode_record(line)
    except msgspec.ValidationError:
        return _decode_leniently(line, repairs)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        # Python's own writer puts NaN and Infinity, which are not JSON, where it has no number.
        mended = _NOT_FINITE.sub(b"null", bytes(line))
        if mended != bytes(line):
            repairs.append("not_finite_to_null")
            return _decode_leniently(mended, repairs)
        is_object = bytes(line).lstrip().startswith(b"{")
        raise BadRecordError(None, f"not JSON: {error}", _describe(line), is_object=is_object) from error


def _decode_leniently(line: bytes | msgspec.Raw, repairs: list[str]) -> Record:
    """Accept numbers written as text ("12", 12.0), since gateways behind other tools re-encode; refuse the rest."""
    try:
        record = _decode_lenient_record(line)
    except msgspec.ValidationError as error:
        reason, _, path = str(error).partition(" - at `$")
        field = path.strip(".`") or None
        raise BadRecordError(field, f"wrong type: {reason}", _describe(line), is_object=field is not None) from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadRecordError(None, f"not JSON: {error}", _describe(line)) from error
    if "not_finite_to_null" not in repairs:
        repairs.append("number_from_text")
    return record


def _describe(line: bytes | msgspec.Raw) -> str:
    """Size and first characters only: a broken line may hold a prompt."""
    text = bytes(line)
    return f"{len(text)} bytes starting {text[:24].decode(errors='replace')!r}"


def _tell_format(record: Record) -> Literal["spend_logs", "standard_logging_payload"]:
    if record.request_id is not UNSET or (record.spend is not UNSET and record.id is UNSET):
        return "spend_logs"
    return "standard_logging_payload"


def _read_metadata(metadata: Metadata | str | None) -> Metadata:
    if isinstance(metadata, Metadata):
        return metadata
    if not metadata:
        return Metadata()
    try:
        return _decode_metadata(metadata)
    except msgspec.DecodeError as error:
        raise BadRecordError(
            "metadata", f"not a JSON object in text: {error}", f"{len(metadata)} characters"
        ) from error


def _read_instant(value: float | str | None, field: str) -> int | None:
    """Microseconds since 1970 UTC of epoch seconds or ISO text; text without an offset is UTC, as in Postgres."""
    if value is None or value == "":
        return None
    if isinstance(value, str):
        try:
            return parse_instant(value)
        except ValueError:
            raise BadRecordError(field, "not a time: expected epoch seconds or ISO 8601 text", value[:64]) from None
    if not 0 < value < _LATEST_EPOCH_SECONDS:
        raise BadRecordError(field, "not epoch seconds between 1970 and 2100", str(value))
    return math.floor(value * 1_000_000 + 0.5)


def _read_tokens(
    record: Record, usages: list[Usage], status: str | None, repairs: list[str]
) -> tuple[str, tuple[int | None, ...], tuple[int | None, ...]]:
    """`usage_status`, the three counts, and their details. A success without any usage has unknown counts, not 0."""
    counts = (record.prompt_tokens, record.completion_tokens, record.total_tokens)
    if any(counts):
        usage_status = "reported"
    else:
        is_stated = is_reporting_counts(usages)
        is_zero_meant = status == "failure" or record.call_type in _TOOL_CALL_TYPES
        if is_stated or (is_zero_meant and counts != _NO_COUNTS):
            usage_status = "reported_zero"
        else:
            return "missing", _NO_COUNTS, NO_DETAILS
    details = read_token_details(usages, repairs)
    for field, count in zip(_COUNT_FIELDS, (*counts, *details), strict=True):
        if count is not None and not 0 <= count <= _LARGEST_COUNT:
            reason = "negative" if count < 0 else "beyond any request"
            raise BadRecordError(field, f"{reason}: expected a count of tokens", str(count)[:64])
    return usage_status, counts, details


def _read_cost(record: Record, field: str, repairs: list[str]) -> Decimal | None:
    """The gateway's own figure, exact to 18 places. Null when it says that it had no price."""
    cost = record.spend if field == "spend" else record.response_cost
    if cost is UNSET or cost is None:
        return None
    try:
        rounded = round_money(cost)
    except ValueError as error:
        raise BadRecordError(field, str(error)) from None
    debug = record.response_cost_failure_debug_info
    if not cost and debug is not UNSET and bytes(debug) != b"null" and record.status != "failure":
        # The payload says 0.0 where the same call's spend is null: the price was not found, the call was not free.
        repairs.append("unpriced_zero_to_null")
        return None
    if rounded != cost:
        repairs.append(ROUNDED_MONEY)
    return rounded


def _read_key_hash(key: str | None, repairs: list[str]) -> str | None:
    if not key:
        return None
    if key.startswith("sk-"):
        # A gateway that logs the key itself: land what it should have logged, never the secret.
        repairs.append("raw_key_hashed")
        return hashlib.sha256(key.encode()).hexdigest()
    return key


def _read_tags(tags: list[Any] | dict[str, Any] | str, repairs: list[str]) -> str | None:
    """Tags as compact JSON text, whether they came as JSON or as text of it; null when there are none."""
    if isinstance(tags, str):
        try:
            tags = msgspec.json.decode(tags)
        except msgspec.DecodeError:
            repairs.append("tags_from_plain_text")
            tags = [tags]
    return _encode(tags).decode() if tags else None


def _read_extra(record: Record, metadata: Metadata) -> str | None:
    """The caller's own keys and the tool called, as JSON text."""
    caller_keys = metadata.spend_logs_metadata
    has_caller_keys = caller_keys is not UNSET and bytes(caller_keys) not in (b"null", b"{}")
    if not has_caller_keys and not record.mcp_namespaced_tool_name:
        return None
    extra: dict[str, Any] = {}
    if has_caller_keys:
        extra["spend_logs_metadata"] = caller_keys
    if record.mcp_namespaced_tool_name:
        extra["mcp_namespaced_tool_name"] = record.mcp_namespaced_tool_name
    return _encode(extra).decode()
