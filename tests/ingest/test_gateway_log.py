"""A log of any gateway, read by a map of its fields, becomes the same requests as LiteLLM's own."""

import gzip
import hashlib
import json
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest

from ingest.config import ConfigError, load_sources
from ingest.contracts import LITELLM_REQUESTS, QUARANTINE
from ingest.home import Home
from ingest.kinds import KINDS
from ingest.landing import land
from ingest.source import ObjectRefusedError
from ingest.tokens.gateway_log import GatewayLog
from tests.ingest.conftest import ReadObject
from tests.ingest.landed import check_counts, configure, find, query, write

ENVOY = {
    "fields": {
        "request_id": "x-request-id",
        "started_at": "start_time",
        "duration": "duration",
        "provider": "gen_ai.provider.name",
        "model": "gen_ai.response.model",
        "prompt_tokens": "gen_ai.usage.input_tokens",
        "completion_tokens": "gen_ai.usage.output_tokens",
        "status": "response_code",
    }
}
AIDER = {
    "where": {"event": "message_send"},
    "fields": {
        "started_at": "time",
        "model": "properties.main_model",
        "user_id": "user_id",
        "prompt_tokens": "properties.prompt_tokens",
        "completion_tokens": "properties.completion_tokens",
        "gateway_cost_usd": "properties.cost",
    },
}
CLAUDE_CODE = {
    "where": {"message.role": "assistant"},
    "fields": {
        "request_id": "message.id",
        "session_id": "sessionId",
        "started_at": "timestamp",
        "ended_at": "timestamp",
        "model": "message.model",
        "prompt_tokens": "message.usage.input_tokens",
        "completion_tokens": "message.usage.output_tokens",
        "cache_read_tokens": "message.usage.cache_read_input_tokens",
        "cache_write_tokens": "message.usage.cache_creation_input_tokens",
        "cache_write_5m_tokens": "message.usage.cache_creation.ephemeral_5m_input_tokens",
        "cache_write_1h_tokens": "message.usage.cache_creation.ephemeral_1h_input_tokens",
        "gateway_cost_usd": "costUSD",
    },
    "constants": {"provider": "anthropic"},
    "tokens_apart": ["cache_read_tokens", "cache_write_tokens"],
}
CODEX = {
    "where": {"payload.type": "token_count"},
    "carried": {"model": "payload.model"},
    "fields": {
        "started_at": "timestamp",
        "model": "payload.info.model",
        "prompt_tokens": "payload.info.last_token_usage.input_tokens",
        "completion_tokens": "payload.info.last_token_usage.output_tokens",
        "cache_read_tokens": "payload.info.last_token_usage.cached_input_tokens",
        "reasoning_tokens": "payload.info.last_token_usage.reasoning_output_tokens",
    },
    "constants": {"provider": "openai"},
}
TRACE = {
    "fields": {"started_at": "TIMESTAMP", "prompt_tokens": "ContextTokens", "completion_tokens": "GeneratedTokens"},
    "constants": {"provider": "azure", "model": "gpt-4"},
}
MOONCAKE = {
    "time_unit": "ms",
    "time_origin": "2024-06-01T08:00:00+08:00",
    "fields": {"started_at": "timestamp", "prompt_tokens": "input_length", "completion_tokens": "output_length"},
    "constants": {"provider": "moonshotai", "model": "kimi"},
}
CALL = {
    "x-request-id": "r1",
    "start_time": "2026-09-01T10:00:00.250Z",
    "duration": 1500,
    "gen_ai.provider.name": "openai",
    "gen_ai.response.model": "gpt-4o",
    "gen_ai.usage.input_tokens": 100,
    "gen_ai.usage.output_tokens": 20,
    "response_code": 200,
}


def told(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if value is not None and not name.startswith("_")}


def test_a_line_is_a_request_by_the_map(read_object: ReadObject, pack: Callable[[str], bytes]):
    (row,) = read_object(GatewayLog(), pack(json.dumps(CALL)), **ENVOY).rows
    assert told(row) == {
        "request_id": "r1",
        "status": "success",
        "provider": "openai",
        "model": "gpt-4o",
        "log_format": "gateway_log",
        "usage_status": "reported",
        "started_at": datetime(2026, 9, 1, 10, 0, 0, 250_000),
        "ended_at": datetime(2026, 9, 1, 10, 0, 1, 750_000),
        "prompt_tokens": 100,
        "completion_tokens": 20,
    }


def test_json_lines_documents_and_csv_say_the_same(read_object: ReadObject):
    (line,) = read_object(GatewayLog(), json.dumps(CALL), **ENVOY).rows
    csv = ",".join(CALL) + "\r\n" + ",".join(map(str, CALL.values())) + "\r\n"
    for text in (json.dumps([CALL]), json.dumps(CALL, indent=1), csv):
        (row,) = read_object(GatewayLog(), text, **ENVOY).rows
        assert told(row) == told(line)


@pytest.mark.parametrize(
    ("fields", "options", "expected"),
    [
        ({"start_time": 1788256800250}, {"time_unit": "ms"}, {"started_at": datetime(2026, 9, 1, 10, 0, 0, 250_000)}),
        (
            {"start_time": "2026-09-01 12:00:00"},
            {"timezone": "Europe/Berlin"},
            {"started_at": datetime(2026, 9, 1, 10)},
        ),
        ({"duration": 1.5}, {"duration_unit": "s"}, {"ended_at": datetime(2026, 9, 1, 10, 0, 1, 750_000)}),
        ({"response_code": 503}, {}, {"status": "failure"}),
        ({"response_code": "Failed"}, {}, {"status": "failure"}),
        ({"gen_ai.usage.input_tokens": None, "gen_ai.usage.output_tokens": None}, {}, {"usage_status": "missing"}),
        ({"gen_ai.usage.input_tokens": 0, "gen_ai.usage.output_tokens": 0}, {}, {"usage_status": "reported_zero"}),
    ],
)
def test_units_zones_and_words_are_read(
    fields: dict[str, Any], options: dict[str, str], expected: dict[str, Any], read_object: ReadObject
):
    (row,) = read_object(GatewayLog(), json.dumps(CALL | fields), **ENVOY, **options).rows
    assert {name: row[name] for name in expected} == expected


def test_a_cost_has_its_unit_and_a_key_its_hash(read_object: ReadObject):
    options = {"fields": ENVOY["fields"] | {"gateway_cost_usd": "cost", "api_key": "key"}, "cost_unit": "cents"}
    (row,) = read_object(GatewayLog(), json.dumps(CALL | {"cost": 1.25e-7, "key": "secret"}), **options).rows
    assert row["gateway_cost_usd"] == Decimal("0.00000000125")
    assert row["api_key_hash"] == hashlib.sha256(b"secret").hexdigest()


def test_tokens_beside_the_input_are_added_to_it_once(read_object: ReadObject):
    usage: dict[str, Any] = {
        "input_tokens": 100,
        "output_tokens": 50,
        "cache_read_input_tokens": 10,
        "cache_creation_input_tokens": 25,
    }
    usage["cache_creation"] = {"ephemeral_5m_input_tokens": 5, "ephemeral_1h_input_tokens": 20}
    line: dict[str, Any] = {
        "timestamp": "2026-01-09T10:00:00Z",
        "message": {"role": "assistant", "id": "m", "model": "c"},
    }
    line["message"]["usage"] = usage
    (row,) = read_object(GatewayLog(), json.dumps(line), **CLAUDE_CODE).rows
    names = ["prompt_tokens", "completion_tokens", "cache_read_tokens", "cache_write_other_tokens"]
    assert [row[name] for name in names] == [135, 50, 10, 0]
    assert (row["cache_write_5m_tokens"], row["cache_write_1h_tokens"]) == (5, 20)


def test_bad_lines_are_refused_by_line_and_column(read_object: ReadObject):
    lines = [
        json.dumps(CALL),
        "{broken",
        json.dumps(CALL | {"start_time": "noon"}),
        json.dumps(CALL | {"gen_ai.usage.input_tokens": "many"}),
        json.dumps(CALL | {"gen_ai.response.model": None}),
        json.dumps(CALL | {"gen_ai.usage.output_tokens": -1}),
        json.dumps(CALL | {"duration": -1}),
        "[1]",
    ]
    result = read_object(GatewayLog(), "\n".join(lines), **ENVOY)
    assert result.row_count == 1
    assert [(line, field) for line, field, _, _ in result.refused] == [
        (2, None),
        (3, "started_at"),
        (4, "prompt_tokens"),
        (5, "model"),
        (6, "completion_tokens"),
        (7, "duration"),
        (8, None),
    ]


def test_a_csv_without_a_named_column_and_what_is_no_log_are_refused(read_object: ReadObject):
    with pytest.raises(ObjectRefusedError, match="neither JSON nor CSV with the column ContextTokens"):
        read_object(GatewayLog(), "TIMESTAMP,Tokens\n2026-09-01,1\n", **TRACE)
    result = read_object(
        GatewayLog(), "TIMESTAMP,ContextTokens,GeneratedTokens\n2026-09-01,1\n2026-09-01,1,2\n", **TRACE
    )
    assert [line for line, *_ in result.refused] == [2]
    assert result.row_count == 1


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("", "options.fields (line 3): found None; allowed: a map of columns"),
        ("options: {fields: {model: m}}", "options.fields (line 3): found no started_at"),
        ("options: {fields: {started_at: t, modle: m}}", "did you mean model?"),
        ("options: {fields: {started_at: t, model: ''}}", "the path of a field, such as usage.input_tokens"),
        ("options: {fields: {started_at: t, model: m}, time_unit: minutes}", "found 'minutes'; allowed: s or ms or us"),
        ("options: {fields: {started_at: t, model: m}, time_origin: noon}", "found 'noon'; allowed: an instant"),
        ("options: {fields: {started_at: t, model: m}, timezone: Mars}", "a name of the IANA database"),
        ("options: {fields: {started_at: t, model: m}, tokens_apart: [tea]}", "a list of cache_read_tokens"),
        ("options: {fields: {started_at: t, model: m}, filter: {}}", "an unknown option"),
    ],
)
def test_a_map_is_judged_when_sources_are_read(home: Home, options: str, said: str):
    configure(home, f"{{name: log, kind: gateway_log, location: logs/, {options}}}")
    with pytest.raises(ConfigError) as caught:
        load_sources(home, KINDS)
    assert said in "\n".join(caught.value.problems)


def test_aiders_messages_land_with_the_tokens_and_costs_of_the_file(shared_data: Path, read_object: ReadObject):
    path = shared_data / "aider_usage_analytics/sample-analytics_first_600.jsonl"
    events = [json.loads(line, parse_float=Decimal) for line in path.read_text().splitlines()]
    sent = [event["properties"] for event in events if event["event"] == "message_send"]
    result = read_object(GatewayLog(), path, **AIDER)
    assert (result.row_count, result.refused) == (63, [])
    assert sum(row["prompt_tokens"] for row in result.rows) == sum(item["prompt_tokens"] for item in sent)
    assert sum(row["completion_tokens"] for row in result.rows) == sum(item["completion_tokens"] for item in sent)
    costs = [row["gateway_cost_usd"] for row in result.rows]
    assert abs(sum(filter(None, costs)) - sum(Decimal(item["cost"]) for item in sent)) < Decimal("1e-15")
    assert len({row["request_id"] for row in result.rows}) == 63


def test_coding_agents_sessions_land_by_what_each_call_used(shared_data: Path, read_object: ReadObject):
    folder = shared_data / "coding_agent_session_logs"
    claude = read_object(GatewayLog(), folder / "claude_project-alpha_session-alpha.jsonl", **CLAUDE_CODE)
    # Input 100 + 200 + 300, cache writes 25 + 50, cache reads 10 + 20 + 40: all of it went in.
    assert sum(row["prompt_tokens"] for row in claude.rows) == 600 + 75 + 70
    assert sum(row["completion_tokens"] for row in claude.rows) == 250
    assert sum(row["gateway_cost_usd"] for row in claude.rows) == Decimal("1.02")
    codex = read_object(GatewayLog(), folder / "codex_session-alpha.jsonl", **CODEX)
    assert [(row["model"], row["prompt_tokens"], row["cache_read_tokens"]) for row in codex.rows] == [
        ("gpt-5.2-codex", 1000, 250),
        ("gpt-5.3-codex", 2500, 500),
    ]
    bare = json.loads((folder / "codex_session-alpha.jsonl").read_text().splitlines()[1])
    del bare["payload"]["info"]["model"]
    turn = {"timestamp": "2026-05-13T09:00:00Z", "type": "turn_context", "payload": {"model": "carried"}}
    (row,) = read_object(GatewayLog(), json.dumps(turn) + "\n" + json.dumps(bare), **CODEX).rows
    assert row["model"] == "carried"


def test_a_trace_without_ids_keeps_its_equal_lines(home: Home, shared_data: Path):
    path = shared_data / "azure_llm_inference_trace_2023/AzureLLMInferenceTrace_code.csv.gz"
    configure(home, f"{{name: trace, kind: gateway_log, location: {path}, options: {json.dumps(TRACE)}}}")
    assert find(land(home, only_sources=["trace"]), "trace").rows_landed == 8819
    expected = duckdb.execute(
        'select count(*), sum(ContextTokens), sum(GeneratedTokens), min("TIMESTAMP"), max("TIMESTAMP") '
        "from read_csv(?)",
        [str(path)],
    ).fetchall()
    found = query(
        home,
        LITELLM_REQUESTS,
        "count(distinct request_id), sum(prompt_tokens), sum(completion_tokens), min(started_at), max(started_at)",
    )
    assert found == expected
    assert expected[0][1:3] == (18_059_974, 245_896)
    check_counts(home, LITELLM_REQUESTS)


def test_a_trace_that_counts_time_from_its_start_lands_from_its_origin(home: Home, shared_data: Path):
    path = shared_data / "mooncake_llm_trace/conversation_trace_first_6000.jsonl.gz"
    configure(home, f"{{name: chat, kind: gateway_log, location: {path}, options: {json.dumps(MOONCAKE)}}}")
    assert find(land(home, only_sources=["chat"]), "chat").rows_landed == 6_000
    expected = duckdb.execute(
        "select count(*), sum(input_length), sum(output_length), "
        "timestamp '2024-06-01' + to_milliseconds(max(timestamp)) from read_json(?)",
        [str(path)],
    ).fetchall()
    found = query(
        home,
        LITELLM_REQUESTS,
        "count(distinct request_id), sum(prompt_tokens), sum(completion_tokens), max(started_at)",
    )
    assert found == expected
    assert query(home, LITELLM_REQUESTS, "min(started_at)") == [(datetime(2024, 6, 1),)]
    check_counts(home, LITELLM_REQUESTS)


def test_refused_lines_are_named_and_the_others_land(home: Home):
    configure(home, f"{{name: envoy, kind: gateway_log, location: logs/, options: {json.dumps(ENVOY)}}}")
    write(home.path / "logs/a.jsonl.gz", gzip.compress((json.dumps(CALL) + "\n{nonsense\n").encode()))
    assert find(land(home, only_sources=["envoy"]), "envoy").rows_quarantined == 1
    assert query(home, QUARANTINE, "source_name, position") == [("envoy", 2)]
    check_counts(home, LITELLM_REQUESTS)
