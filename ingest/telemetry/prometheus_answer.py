"""Answers of the Prometheus HTTP API, decoded: fast where they are well-formed, loosely where they are not."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from ingest.source import ObjectRefusedError


class Series(msgspec.Struct):
    """One result of an answer as it should be."""

    metric: dict[str, str]
    values: list[tuple[float, str]] | None = None
    value: tuple[float, str] | None = None


class LooseSeries(msgspec.Struct):
    """One result of an answer that has a malformed sample somewhere."""

    metric: dict[str, str]
    values: list[Any] | None = None
    value: Any = None


class _Data(msgspec.Struct):
    resultType: str | None = None
    result: list[Series] = msgspec.field(default_factory=list)


class _LooseData(msgspec.Struct):
    resultType: str | None = None
    result: list[LooseSeries] = msgspec.field(default_factory=list)


class _Document(msgspec.Struct):
    status: str | None = None
    data: _Data | None = None
    error: str | None = None
    errorType: str | None = None
    isPartial: bool | None = None


class _LooseDocument(_Document):
    data: _LooseData | None = None  # pyright: ignore[reportIncompatibleVariableOverride]


@dataclass(frozen=True)
class Answer:
    """The series of a successful answer."""

    result: Sequence[Series | LooseSeries]
    is_partial: bool


def decode_answer(payload: bytes) -> Answer:
    """Raises `ObjectRefusedError` for what is no answer, or one that reports an error."""
    answer = _decode(payload)
    if answer.status == "error" or answer.error:
        raise ObjectRefusedError(
            f"Prometheus answered with an error: {answer.error or 'no message'}; repeat the query",
            field="error",
            found=answer.errorType or "",
        )
    if answer.data is None or answer.data.resultType not in ("matrix", "vector"):
        found = None if answer.data is None else answer.data.resultType
        raise ObjectRefusedError(
            "not a `query_range` or `query` answer: expected `data.resultType` matrix or vector",
            field="data.resultType",
            found=str(found),
        )
    return Answer(answer.data.result, bool(answer.isPartial))


def _decode(payload: bytes) -> _Document:
    try:
        return msgspec.json.decode(payload, type=_Document)
    except msgspec.ValidationError:
        pass
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ObjectRefusedError(f"not JSON: {error}", found=payload[:200].decode(errors="replace")) from error
    try:
        return msgspec.json.decode(payload, type=_LooseDocument)
    except msgspec.DecodeError as error:
        raise ObjectRefusedError(
            f"not a Prometheus answer: {error}", found=payload[:200].decode(errors="replace")
        ) from error
