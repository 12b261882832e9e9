"""OTLP spans in JSON: what of them a model call is told by, and which of nested spans is the call itself."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec

_LEAF_OPERATIONS: Final = frozenset({"chat", "generate_content", "text_completion", "embeddings"})
_COUNTS: Final = (
    "gen_ai.usage.input_tokens",
    "gen_ai.usage.output_tokens",
    "gen_ai.usage.prompt_tokens",
    "gen_ai.usage.completion_tokens",
)


class AnyValue(msgspec.Struct, gc=False):
    """One attribute's value: 64-bit integers are text in OTLP's JSON."""

    stringValue: str | None = None
    intValue: int | str | None = None
    doubleValue: float | str | None = None
    boolValue: bool | None = None


class KeyValue(msgspec.Struct, gc=False):
    """An attribute."""

    key: str
    value: AnyValue | None = None


class Status(msgspec.Struct, gc=False):
    """How a span ended: 2, or its name, is an error."""

    code: int | str | None = None


class Span(msgspec.Struct, gc=False):
    """What is read of a span; events, links and message contents are skipped without being decoded."""

    traceId: str = ""
    spanId: str = ""
    parentSpanId: str = ""
    startTimeUnixNano: int | str | None = None
    endTimeUnixNano: int | str | None = None
    attributes: list[KeyValue] = msgspec.field(default_factory=list)
    status: Status | None = None


class ScopeSpans(msgspec.Struct, gc=False):
    """Spans of one instrumentation, each still as text, so that a malformed one costs itself alone."""

    spans: list[msgspec.Raw] = msgspec.field(default_factory=list)


class Resource(msgspec.Struct, gc=False):
    """Who sent them."""

    attributes: list[KeyValue] = msgspec.field(default_factory=list)


class ResourceSpans(msgspec.Struct, gc=False):
    """Spans of one sender."""

    resource: Resource | None = None
    scopeSpans: list[ScopeSpans] = msgspec.field(default_factory=list)


class Export(msgspec.Struct, gc=False):
    """One export request: a line of a collector's file, or a document."""

    resourceSpans: list[ResourceSpans] | None = None
    resourceMetrics: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


decode_export: Final = msgspec.json.Decoder(Export).decode
decode_span: Final = msgspec.json.Decoder(Span).decode


def read_attributes(pairs: Iterable[KeyValue]) -> dict[str, Any]:
    """Plain values by key, without the empty ones; lists and maps are left out."""
    attributes: dict[str, Any] = {}
    for pair in pairs:
        value = pair.value
        if value is None:
            continue
        # In a row, not in a loop: most of an export is attributes.
        if value.stringValue:
            attributes[pair.key] = value.stringValue
        elif value.intValue is not None and value.intValue != "":
            attributes[pair.key] = value.intValue
        elif value.doubleValue is not None and value.doubleValue != "":
            attributes[pair.key] = value.doubleValue
        elif value.boolValue is not None:
            attributes[pair.key] = value.boolValue
    return attributes


def is_model_call(attributes: Mapping[str, Any]) -> bool:
    """A call of a model, and not of an agent, a workflow or a tool, which may repeat what their calls used."""
    operation = attributes.get("gen_ai.operation.name")
    if operation is not None:
        return operation in _LEAF_OPERATIONS
    has_model = "gen_ai.request.model" in attributes or "gen_ai.response.model" in attributes
    return has_model and ("gen_ai.provider.name" in attributes or "gen_ai.system" in attributes)


def has_usage(attributes: Mapping[str, Any]) -> bool:
    """True when it states a count of tokens, be it 0."""
    return any(name in attributes for name in _COUNTS)


@dataclass(frozen=True)
class Node:
    """What of a span its neighbours in the trace need to know."""

    parent_id: str
    is_call: bool
    has_usage: bool
    inherited: Mapping[str, Any]  # what a call below it may be attributed by


class Traces:
    """The spans of one object by id: an object holds whole traces, or as much of them as it has."""

    def __init__(self) -> None:
        self._nodes: dict[tuple[str, str], Node] = {}
        self._told_below: set[tuple[str, str]] = set()

    def add(self, trace_id: str, span_id: str, node: Node) -> None:
        self._nodes[trace_id, span_id] = node

    def link(self) -> None:
        """Find which spans have a call with usage below them; once, after all were added."""
        for (trace_id, span_id), node in self._nodes.items():
            if node.is_call and node.has_usage:
                above = (above_id for above_id, _ in self._walk_up(trace_id, node.parent_id))
                self._told_below |= {(trace_id, above_id) for above_id in above if above_id != span_id}

    def is_repeated(self, trace_id: str, span_id: str) -> bool:
        """True for a call that is told by another span: by a call below it, or, without usage, by one above it."""
        node = self._nodes[trace_id, span_id]
        if (trace_id, span_id) in self._told_below:
            return True
        above = self._walk_up(trace_id, node.parent_id)
        return not node.has_usage and any(
            found.is_call and found.has_usage and (trace_id, above_id) not in self._told_below
            for above_id, found in above
        )

    def inherit(self, trace_id: str, parent_id: str) -> Mapping[str, Any]:
        """What a span may be attributed by, each attribute of the nearest span above that has it."""
        inherited: dict[str, Any] = {}
        for _, node in self._walk_up(trace_id, parent_id):
            inherited = {**node.inherited, **inherited}
        return inherited

    def _walk_up(self, trace_id: str, span_id: str) -> Iterator[tuple[str, Node]]:
        seen: set[str] = set()
        while span_id and span_id not in seen:  # a span that is its own ancestor is somebody's mistake
            seen.add(span_id)
            node = self._nodes.get((trace_id, span_id))
            if node is None:
                return
            yield span_id, node
            span_id = node.parent_id
