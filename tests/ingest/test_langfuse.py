"""Langfuse's traces and observations become requests, each call once, with the counts that the export states."""

import gzip
import json
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from ingest.contracts import LITELLM_REQUESTS, QUARANTINE
from ingest.home import Home
from ingest.landing import land
from ingest.source import ObjectRefusedError
from ingest.tokens.langfuse import Langfuse
from tests.ingest.conftest import ReadObject
from tests.ingest.landed import check_counts, configure, find, query, write

CALLS = {
    "crewai-2025-07-11": 1,
    "google-gemini-2025-08-01": 1,
    "langgraph-python-2025-08-22": 2,
    "openai-agents-2025-09-30": 2,
    "pydantic-ai-tools-2025-12-04": 4,
    "pydantic-ai-with-gemini-2025-12-24": 1,
}
CALL: dict[str, Any] = {
    "id": "o1",
    "traceId": "t1",
    "type": "GENERATION",
    "startTime": "2026-09-01T10:00:00.000Z",
    "endTime": "2026-09-01T10:00:02.500Z",
    "completionStartTime": "2026-09-01T10:00:00.500Z",
    "model": "gpt-4o",
    "level": "DEFAULT",
    "usageDetails": {"input": 100, "output": 20, "total": 120},
    "totalCost": 0.00045,
}
TRACE = {"id": "t1", "userId": "u1", "sessionId": "s1", "tags": ["app:chat"]}


def trace(*observations: dict[str, Any]) -> str:
    return json.dumps({"trace": TRACE, "observations": list(observations)})


@pytest.mark.parametrize("name", CALLS)
def test_a_real_trace_lands_its_calls_with_the_tokens_and_costs_of_the_file(
    name: str, shared_data: Path, read_object: ReadObject
):
    path = shared_data / f"langfuse_trace_exports/{name}.trace.json"
    observations = json.loads(path.read_text(), parse_float=Decimal)["observations"]
    used = [item for item in observations if item["type"] == "GENERATION"]
    result = read_object(Langfuse(), path)
    assert (result.row_count, result.refused) == (CALLS[name], [])
    assert sum(row["prompt_tokens"] for row in result.rows) == sum(item["inputUsage"] for item in used)
    assert sum(row["completion_tokens"] for row in result.rows) == sum(item["outputUsage"] for item in used)
    assert sum(row["gateway_cost_usd"] for row in result.rows) == sum(item["totalCost"] for item in used)
    reasoning = sum(item["usageDetails"].get("completion_details.reasoning", 0) for item in used)
    assert sum(row["reasoning_tokens"] or 0 for row in result.rows) == reasoning


def test_a_call_is_a_request_of_its_trace(read_object: ReadObject, pack: Callable[[str], bytes]):
    (row,) = read_object(Langfuse(), pack(trace(CALL)), provider="openai").rows
    assert {name: value for name, value in row.items() if value is not None and name[0] != "_"} == {
        "request_id": "o1",
        "trace_id": "t1",
        "session_id": "s1",
        "call_type": "GENERATION",
        "status": "success",
        "provider": "openai",
        "model": "gpt-4o",
        "end_user_id": "u1",
        "request_tags": '["app:chat"]',
        "log_format": "langfuse",
        "usage_status": "reported",
        "started_at": datetime(2026, 9, 1, 10),
        "ended_at": datetime(2026, 9, 1, 10, 0, 2, 500_000),
        "first_token_at": datetime(2026, 9, 1, 10, 0, 0, 500_000),
        "prompt_tokens": 100,
        "completion_tokens": 20,
        "gateway_cost_usd": Decimal("0.00045"),
    }


def test_every_shape_of_an_export_has_the_same_call(read_object: ReadObject):
    snake = {"id": "o1", "trace_id": "t1", "type": "GENERATION", "provided_model_name": "gpt-4o", "level": "DEFAULT"}
    snake |= {"start_time": "2026-09-01 10:00:00.000", "end_time": "2026-09-01 10:00:02.500"}
    snake |= {"usage_details": CALL["usageDetails"], "total_cost": 0.00045}
    shapes = [
        json.dumps(TRACE | {"observations": [CALL]}),
        json.dumps({"data": [CALL], "meta": {"page": 1}}),
        json.dumps([CALL]),
        json.dumps(CALL) + "\n",
        json.dumps(snake) + "\n",
    ]
    for text in shapes:
        (row,) = read_object(Langfuse(), text).rows
        assert (row["request_id"], row["trace_id"], row["model"]) == ("o1", "t1", "gpt-4o")
        assert (row["prompt_tokens"], row["completion_tokens"]) == (100, 20)
        assert row["ended_at"] == datetime(2026, 9, 1, 10, 0, 2, 500_000)
        assert row["gateway_cost_usd"] == Decimal("0.00045")


@pytest.mark.parametrize(
    ("details", "expected"),
    [
        # OpenAI's way, parts inside: 80 of 100 from the cache, 5 of 20 thought.
        ({"input": 100, "output": 20, "prompt_details.cache_read": 80, "completion_details.reasoning": 5, "total": 120},
         (100, 20, 80, None, 5)),
        # Langfuse's own ingestion takes the parts out: 20 + 80 and 15 + 5.
        ({"input": 20, "input_cached_tokens": 80, "output": 15, "output_reasoning": 5, "total": 120},
         (100, 20, 80, None, 5)),
        # Anthropic's names; 20 + 70 + 10 went in.
        ({"input": 20, "cache_read_input_tokens": 70, "cache_creation_input_tokens": 10, "output": 20, "total": 120},
         (100, 20, 70, 10, None)),
        ({"input": 100, "total": 100}, (100, 0, None, None, None)),
    ],
)  # fmt: skip
def test_parts_are_inside_their_total_or_beside_it_as_the_total_tells(
    details: dict[str, int], expected: tuple[int | None, ...], read_object: ReadObject
):
    (row,) = read_object(Langfuse(), trace(CALL | {"usageDetails": details})).rows
    names = ["prompt_tokens", "completion_tokens", "cache_read_tokens", "cache_write_other_tokens", "reasoning_tokens"]
    assert tuple(row[name] for name in names) == expected


def test_what_repeats_the_usage_of_what_is_below_it_is_no_request(read_object: ReadObject):
    agent = CALL | {"id": "a", "type": "AGENT", "usageDetails": {"input": 200, "output": 40}}
    outer = CALL | {"id": "g", "parentObservationId": "a", "usageDetails": {"input": 200, "output": 40}}
    tool = {"id": "tool", "type": "TOOL", "parentObservationId": "g", "startTime": CALL["startTime"]}
    inner = [CALL | {"id": name, "parentObservationId": "tool"} for name in ("x", "y")]
    lone = CALL | {"id": "lone", "usageDetails": {}}
    result = read_object(Langfuse(), trace(agent, outer, tool, *inner, lone))
    assert [(row["request_id"], row["usage_status"]) for row in result.rows] == [
        ("x", "reported"),
        ("y", "reported"),
        ("lone", "missing"),
    ]


def test_the_providers_own_id_and_name_are_known_from_opentelemetry(read_object: ReadObject):
    attributes = {"gen_ai.response.id": "chatcmpl-1", "gen_ai.system": "google-gla", "gen_ai.response.model": "g-2"}
    for metadata in ({"attributes": attributes}, json.dumps({"attributes": attributes})):
        (row,) = read_object(Langfuse(), trace(CALL | {"metadata": metadata})).rows
        assert (row["request_id"], row["provider"], row["model"]) == ("chatcmpl-1", "gemini", "g-2")


def test_malformed_observations_are_refused_by_number(home: Home):
    configure(home, "{name: traces, kind: langfuse, location: traces/}")
    broken = [CALL | {"usageDetails": {"input": "many"}}, CALL | {"startTime": "noon"}, CALL | {"model": None}, 7]
    write(home.path / "traces/a.json.gz", gzip.compress(trace(CALL, *broken).encode()))
    assert find(land(home, only_sources=["traces"]), "traces").rows_quarantined == 4
    found = query(home, QUARANTINE, "position, field order by all")
    assert found == [(2, "usageDetails"), (3, "startTime"), (4, "model"), (5, "observations")]
    check_counts(home, LITELLM_REQUESTS)


def test_what_is_no_export_is_refused(read_object: ReadObject):
    with pytest.raises(ObjectRefusedError, match="no observation"):
        read_object(Langfuse(), '{"data": []}')
    assert read_object(Langfuse(), '{"hello": 1}').refused[0][1] == "type"
