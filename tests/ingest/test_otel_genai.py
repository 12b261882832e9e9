"""Model calls out of OpenTelemetry traces, by current and older attribute names."""

import gzip
import json
import re
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from ingest.source import ObjectRefusedError
from ingest.tokens.otel_genai import OtelGenai

KIND = OtelGenai()
START = 1_777_882_895_000_000_000


def pairs(attributes: dict[str, Any]) -> list[dict[str, Any]]:
    def wrap(value: Any) -> dict[str, Any]:
        if isinstance(value, bool):
            return {"boolValue": value}
        if isinstance(value, int):
            return {"intValue": str(value)}
        if isinstance(value, list):
            return {"arrayValue": {"values": [wrap(item) for item in value]}}
        return {"doubleValue": value} if isinstance(value, float) else {"stringValue": value}

    return [{"key": key, "value": wrap(value)} for key, value in attributes.items()]


def span(span_id: str, parent: Any = "", *, trace: Any = "t1", status: Any = None, **attributes: Any) -> dict[str, Any]:
    named = {name.replace("__", "."): value for name, value in attributes.items()}
    return {
        "traceId": trace,
        "spanId": span_id,
        "parentSpanId": parent,
        "name": "any",
        "kind": 3,
        "startTimeUnixNano": str(START),
        "endTimeUnixNano": str(START + 1_500_000_999),
        "attributes": pairs({f"gen_ai.{name.removeprefix('g.')}" if name.startswith("g.") else name: value
                             for name, value in named.items()}),
        "status": {} if status is None else {"code": status},
        "events": [{"name": "gen_ai.user.message", "attributes": pairs({"content": "my secret prompt"})}],
    }  # fmt: skip


def call(span_id: str, parent: Any = "", **attributes: Any) -> dict[str, Any]:
    usual = {"g__operation.name": "chat", "g__provider.name": "openai", "g__request.model": "gpt-4o"}
    counts = {"g__usage.input_tokens": 100, "g__usage.output_tokens": 10}
    return span(span_id, parent, **{**usual, **counts, **attributes})


def export(*spans: dict[str, Any], **resource: Any) -> str:
    scope = {"scope": {"name": "s"}, "spans": list(spans)}
    return json.dumps({"resourceSpans": [{"resource": {"attributes": pairs(resource)}, "scopeSpans": [scope]}]})


Read = Callable[..., list[dict[str, Any]]]


@pytest.fixture
def read(read_object: Any) -> Read:
    def read(*lines: str, **options: Any) -> list[dict[str, Any]]:
        result = read_object(KIND, "\n".join(lines), **options)
        assert result.refused == []
        return result.rows

    return read


def load_spans(path: Path) -> list[dict[str, Any]]:
    with gzip.open(path, "rt") as file:
        document = json.load(file)
    return [
        item | {"flat": {pair["key"]: next(iter(pair["value"].values()), None) for pair in item["attributes"]}}
        for group in document["resourceSpans"]
        for scope in group["scopeSpans"]
        for item in scope["spans"]
    ]


def test_litellms_spans_land_with_their_tokens_costs_and_owners(shared_data: Path, read_object: Any):
    path = shared_data / "otel_genai_spans" / "litellm_otel_callback_otlp.json.gz"
    flat = [item["flat"] for item in load_spans(path)]
    result = read_object(KIND, path)
    assert (result.row_count, result.refused) == (400, [])
    rows = result.rows
    for column, attribute in (
        ("prompt_tokens", "gen_ai.usage.input_tokens"),
        ("completion_tokens", "gen_ai.usage.output_tokens"),
        ("total_tokens", "gen_ai.usage.total_tokens"),
    ):
        expected = sum(int(attributes.get(attribute) or 0) for attributes in flat)
        assert sum(row[column] or 0 for row in rows) == expected > 0
    cost = sum(Decimal(str(attributes.get("gen_ai.cost.total_cost") or 0)) for attributes in flat)
    landed = sum(row["gateway_cost_usd"] or 0 for row in rows)
    assert abs(landed - cost) <= Decimal("0.5e-18") * len(rows) and cost > 0  # doubles have more than 18 places
    told = [re.search(r"'cached_tokens': (\d+)", item.get("metadata.usage_object") or "") for item in flat]
    assert sum(row["cache_read_tokens"] or 0 for row in rows) == sum(int(found[1]) for found in told if found) > 0
    failed = [row for row in rows if row["status"] == "failure"]
    assert len(failed) == 20
    assert {row["usage_status"] for row in failed} == {"missing"}
    teams = [item.get("metadata.user_api_key_team_id") or None for item in flat]
    assert [row["team_id"] for row in rows] == teams
    assert {row["litellm_call_id"] for row in rows} == {item["litellm.call_id"] for item in flat}


def test_a_clients_calls_are_attributed_by_the_span_above(shared_data: Path, read_object: Any):
    path = shared_data / "otel_genai_spans" / "otel_openai_v2_instrumentation_otlp.json.gz"
    spans = load_spans(path)
    above = {item["spanId"]: item["flat"] for item in spans}
    calls = [item for item in spans if item["flat"].get("gen_ai.operation.name") == "chat"]
    result = read_object(KIND, path, attributes={"team_id": "tenant.id"})
    assert (result.row_count, result.refused) == (160, [])
    rows = {row["request_id"]: row for row in result.rows}
    for item in calls:
        flat = item["flat"]
        row = rows[flat.get("gen_ai.response.id") or f"{item['traceId']}/{item['spanId']}"]
        parent = above[item["parentSpanId"]]
        assert (row["end_user_id"], row["team_id"]) == (parent["enduser.id"], parent["tenant.id"])
        assert row["prompt_tokens"] == (int(flat["gen_ai.usage.input_tokens"]) if "error.type" not in flat else None)
        assert row["model"] == flat.get("gen_ai.response.model", flat["gen_ai.request.model"])
        assert row["model_group"] == flat["gen_ai.request.model"]
    assert sum(row["status"] == "failure" for row in rows.values()) == 14
    assert {json.loads(row["_extra"])["resource"]["k8s.namespace.name"] for row in rows.values()} == {"search"}


def test_metrics_are_refused_with_what_to_send(shared_data: Path, read_object: Any):
    path = shared_data / "otel_genai_spans" / "otel_openai_v2_instrumentation_metrics.json.gz"
    with pytest.raises(ObjectRefusedError, match="send traces"):
        read_object(KIND, path)


def test_agents_workflows_and_tools_repeat_what_their_calls_used(read: Read):
    agent = {"g__usage.input_tokens": 200, "g__usage.output_tokens": 20, "g__request.model": "gpt-4o"}
    rows = read(
        export(
            span("w", **{"g__operation.name": "invoke_workflow", **agent}),
            span("a", "w", **{"g__operation.name": "invoke_agent", "g__agent.name": "planner", **agent}),
            call("c1", "a"),
            span("x", "a", **{"g__operation.name": "execute_tool", **agent}),
            call("c2", "x"),
        )
    )
    assert [(row["request_id"], row["agent_id"], row["prompt_tokens"]) for row in rows] == [
        ("t1/c1", "planner", 100),
        ("t1/c2", "planner", 100),
    ]


def test_of_calls_that_wrap_calls_the_innermost_with_usage_counts(read: Read):
    rows = read(
        export(call("outer"), span("http", "outer"), call("inner", "http"), call("same id", trace="t2")),
        export(
            call("told above", trace="t3"),
            span("silent", "told above", trace="t3", **{"g__operation.name": "chat", "g__request.model": "gpt-4o"}),
            span("lone", trace="t4", **{"g__operation.name": "chat", "g__request.model": "gpt-4o"}),
        ),
        export(call("split", "in another file", trace="t5"), call("round", "round", trace="t6")),
    )
    told = {row["request_id"]: row["usage_status"] for row in rows}
    assert told == {
        "t1/inner": "reported",
        "t2/same id": "reported",
        "t3/told above": "reported",
        "t4/lone": "missing",
        "t5/split": "reported",
        "t6/round": "reported",
    }


def test_a_wrapper_may_stand_in_a_later_line_than_its_call(read: Read):
    rows = read(export(call("inner", "outer")), export(call("outer")))
    assert [row["request_id"] for row in rows] == ["t1/inner"]


def test_older_names_land_as_the_current_ones_do(read: Read):
    current = call(
        "a", **{"g__provider.name": "azure.ai.openai", "g__response.model": "gpt-4o-2024-08-06", "g__response.id": "r"}
    )
    older = span(
        "b",
        **{"g__system": "az.ai.openai", "g__request.model": "gpt-4o", "g__response.model": "gpt-4o-2024-08-06"},
        **{"g__response.id": "r", "g__usage.prompt_tokens": 100, "g__usage.completion_tokens": 10},
    )
    (one,), (other,) = read(export(current)), read(export(older))
    differing = {name for name in one if one[name] != other[name]}
    assert differing == {"call_type"}  # it was not named then
    assert (one["provider"], one["model"], one["prompt_tokens"], one["total_tokens"]) == (
        "azure",
        "gpt-4o-2024-08-06",
        100,
        None,
    )
    assert one["log_format"] == "otel_genai"


def test_parts_of_the_totals_and_an_input_that_leaves_its_cache_out(read: Read):
    parts = {"g__usage.cache_read.input_tokens": 60, "g__usage.cache_creation.input_tokens": 30}
    rows = read(
        export(
            call("whole", **parts, **{"g__usage.reasoning.output_tokens": 4}),
            call("without", **parts, **{"g__usage.input_tokens": 10}),
        )
    )
    columns = ("prompt_tokens", "cache_read_tokens", "cache_write_other_tokens", "reasoning_tokens", "_repairs")
    assert [tuple(row[name] for name in columns) for row in rows] == [
        (100, 60, 30, 4, None),
        (100, 60, 30, None, "input_without_cache"),
    ]


def test_times_are_nanoseconds_and_the_first_chunk_is_the_first_token(read: Read):
    (row,) = read(export(call("a", **{"g__response.time_to_first_chunk": 0.25, "g__request.stream": True})))
    assert row["started_at"] == datetime(2026, 5, 4, 8, 21, 35)
    assert row["ended_at"] == datetime(2026, 5, 4, 8, 21, 36, 500_000)
    assert row["first_token_at"] == datetime(2026, 5, 4, 8, 21, 35, 250_000)
    assert row["is_stream"] is True


def test_an_owner_is_looked_for_on_the_call_then_above_then_at_the_sender(read: Read):
    rows = read(
        export(
            span("root", **{"user.id": "u-root", "enduser.id": "e-root"}),
            call("a", "root", **{"user.id": "u-own"}),
            call("b", "root"),
            **{"service.name": "rag", "team.id": "search", "user.id": "u-sender"},
        ),
        options={},
    )
    assert [(row["user_id"], row["end_user_id"], row["team_id"]) for row in rows] == [
        ("u-own", "e-root", "search"),
        ("u-root", "e-root", "search"),
    ]


@pytest.mark.parametrize(
    ("bad", "field", "reason"),
    [
        (call("x", **{"g__usage.input_tokens": -1}), "gen_ai.usage.input_tokens", "negative"),
        (call("x", **{"g__usage.input_tokens": "many"}), "gen_ai.usage", "not a count of tokens"),
        (call("x") | {"startTimeUnixNano": "soon"}, "startTimeUnixNano", "not nanoseconds"),
        (call("x") | {"startTimeUnixNano": ""}, "startTimeUnixNano", "missing"),
        (call("x") | {"endTimeUnixNano": "1"}, "endTimeUnixNano", "ends before it starts"),
        (call("x") | {"spanId": ""}, "spanId", "missing"),
        (call("x") | {"attributes": 7}, "spans", "not a span"),
        (span("x", **{"g__operation.name": "chat"}), "gen_ai.response.model", "missing"),
    ],
)
def test_a_bad_span_is_refused_alone_and_quotes_no_prompt(
    read_object: Any, bad: dict[str, Any], field: str, reason: str
):
    result = read_object(KIND, export(call("good"), bad, call("fine")))
    assert [row["request_id"] for row in result.rows] == ["t1/good", "t1/fine"]
    ((position, name, why, found),) = result.refused
    assert (position, name) == (2, field)
    assert why.startswith(reason) and "secret" not in why + found


def test_a_broken_line_costs_itself_and_a_file_without_spans_is_refused(read_object: Any):
    result = read_object(KIND, f'{export(call("a"))}\n{{"resourceSpans": [\n{export(call("b"))}\n')
    assert [row["request_id"] for row in result.rows] == ["t1/a", "t1/b"]
    assert [entry[:2] for entry in result.refused] == [(2, "spans")]
    for content in ("{}", '{"resourceLogs": []}', '{"resourceSpans": 5}', "not json", "[1]"):
        with pytest.raises(ObjectRefusedError, match="no export of spans"):
            read_object(KIND, content)
    with pytest.raises(ObjectRefusedError, match="option attributes"):
        read_object(KIND, export(call("a")), attributes={"teem": "x"})


def test_one_document_over_many_lines_is_read_as_one(read_object: Any, pack: Callable[[str], bytes]):
    text = json.dumps(json.loads(export(call("a"), call("b"))), indent=1)
    assert read_object(KIND, pack(text)).row_count == 2


def test_a_byte_that_is_no_text_costs_its_span_alone(read_object: Any):
    text = export(call("s1"), call("s2", server__address="here"), call("s3")).encode()
    spoiled = text.replace(b'"here"', b'"h\xffre"')
    result = read_object(KIND, spoiled + b"\n" + export(call("s4")).encode())
    assert [row["request_id"] for row in result.rows] == ["t1/s1", "t1/s3", "t1/s4"]
    ((position, field, reason, _),) = result.refused
    assert (position, field) == (2, "spans") and "utf-8" in reason
