"""LiteLLM records to rows: both formats, what they leave out, and lines that cannot be landed."""

import gzip
import json
from collections import Counter
from collections.abc import Callable
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Any

import pytest

from ingest.source import ObjectRefusedError
from ingest.tokens.litellm import Litellm

KIND = Litellm()
ABSENT = object()


def make_payload(**changes: Any) -> dict[str, Any]:
    record = {
        "id": "chatcmpl-1",
        "litellm_call_id": "call-1",
        "trace_id": "trace-1",
        "status": "success",
        "custom_llm_provider": "anthropic",
        "model": "claude-sonnet-4-6",
        "startTime": 1788220800.1,
        "endTime": 1788220803.9,
        "completionStartTime": 1788220800.9,
        "prompt_tokens": 3000,
        "completion_tokens": 400,
        "total_tokens": 3400,
        "response_cost": 0.01095,
        "cache_hit": False,
        "stream": True,
        "request_tags": ["feature:search"],
        "end_user": "",
        "metadata": {"user_api_key_hash": "9f2c", "user_api_key_team_id": "research"},
        "messages": [{"role": "user", "content": "SECRET PROMPT"}],
        "response": {"choices": [{"message": {"content": "SECRET ANSWER"}}]},
    }
    return {key: value for key, value in (record | changes).items() if value is not ABSENT}


def make_spend_log(**changes: Any) -> dict[str, Any]:
    record = {
        "request_id": "chatcmpl-1",
        "api_key": "9f2c",
        "cache_hit": "None",
        "startTime": "2026-09-01T00:00:00.100000+00:00",
        "endTime": "2026-09-01 00:00:03.9",
        "model": "claude-sonnet-4-6",
        "team_id": "",
        "metadata": '{"user_api_key_team_id": "research", "usage_object": null}',
        "spend": 0.01095,
        "prompt_tokens": 3000,
        "completion_tokens": 400,
        "total_tokens": 3400,
        "request_tags": '["feature:search"]',
        "custom_llm_provider": "anthropic",
        "status": "success",
    }
    return {key: value for key, value in (record | changes).items() if value is not ABSENT}


def to_lines(*records: dict[str, Any] | str) -> str:
    return "".join((item if isinstance(item, str) else json.dumps(item)) + "\n" for item in records)


def read_one(read_object: Any, record: dict[str, Any]) -> dict[str, Any]:
    result = read_object(KIND, to_lines(record))
    assert result.refused == []
    (row,) = result.rows
    return row


# Real logs ------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def folder(shared_data: Path) -> Path:
    return shared_data / "litellm_generated_logs"


@pytest.mark.parametrize("name", ["standard_logging_payload", "spend_logs"])
def test_every_call_of_the_real_logs_lands_with_its_tokens(folder: Path, read_object: Any, name: str):
    result = read_object(KIND, folder / f"{name}.jsonl.gz")
    rows = result.rows
    assert (result.row_count, result.refused) == (700, [])
    assert Counter(row["usage_status"] for row in rows) == {"reported": 666, "reported_zero": 34}
    assert Counter(row["status"] for row in rows) == {"success": 666, "failure": 34}
    assert sum(row["prompt_tokens"] for row in rows) == 1_400_064
    assert sum(row["completion_tokens"] for row in rows) == 19_423
    assert sum(row["cache_read_tokens"] or 0 for row in rows) == 245_504
    assert Counter(row["team_id"] for row in rows) == {
        None: 184,
        "team-ads": 180,
        "team-search": 175,
        "team-research": 161,
    }


def test_gateway_costs_equal_the_digits_of_the_log(folder: Path, read_object: Any):
    with gzip.open(folder / "spend_logs.jsonl.gz", "rt") as lines:
        spends = [json.loads(line, parse_float=Decimal)["spend"] for line in lines]
    quantum = Decimal(1).scaleb(-18)
    expected = [None if spend is None else Decimal(spend).quantize(quantum, ROUND_HALF_UP) for spend in spends]
    rows = read_object(KIND, folder / "spend_logs.jsonl.gz").rows
    assert [row["gateway_cost_usd"] for row in rows] == expected
    assert expected.count(None) == 24


def test_the_same_calls_in_both_formats_give_the_same_facts(folder: Path, read_object: Any):
    def index(name: str) -> dict[str, dict[str, Any]]:
        rows = read_object(KIND, folder / f"{name}.jsonl.gz").rows
        return {row["litellm_call_id"]: row for row in rows}

    payloads, spend_logs = index("standard_logging_payload"), index("spend_logs")
    # The trace stands in another column, and SpendLogs has no error class.
    differing = {"trace_id", "session_id", "log_format", "error_class", "_position", "_repairs"}
    names = [column for column in next(iter(payloads.values())) if column not in differing]
    assert payloads.keys() == spend_logs.keys()
    for call_id, payload in payloads.items():
        assert {name: payload[name] for name in names} == {name: spend_logs[call_id][name] for name in names}


def test_a_pretty_printed_object_is_one_record_and_takes_usage_from_its_response(folder: Path, read_object: Any):
    (row,) = read_object(KIND, folder / "litellm_repo_example_standard_logging_payload.json").rows
    assert (row["prompt_tokens"], row["completion_tokens"], row["usage_status"]) == (10, 20, "reported")
    assert row["gateway_cost_usd"] == Decimal("0.000225000000000000")
    assert row["is_stream"] is True


def test_prompts_and_answers_are_never_landed_nor_quoted(folder: Path, read_object: Any):
    paths = ["standard_logging_payload.jsonl.gz", "litellm_repo_example_standard_logging_payload.json"]
    landed = [str(read_object(KIND, folder / path).rows) for path in paths]
    broken = read_object(KIND, to_lines(make_payload(), json.dumps(make_payload(id="2"))[:-1]))
    text = "".join(landed) + str(broken.rows) + str(broken.refused)
    for secret in ("redacted-by-litellm", "Hello, world!", "SECRET"):
        assert secret not in text


# Formats --------------------------------------------------------------------------------------------------------------


def test_lines_land_alike_however_they_are_packed(read_object: Any, pack: Callable[[str], bytes]):
    result = read_object(KIND, pack(to_lines(make_payload(), "", make_spend_log(), "  ")))
    assert [(row["_position"], row["log_format"]) for row in result.rows] == [
        (1, "standard_logging_payload"),
        (3, "spend_logs"),
    ]


def test_an_array_of_records_lands_by_its_places(read_object: Any):
    result = read_object(KIND, json.dumps([make_payload(), 7, make_payload(id="2")], indent=2))
    assert [row["_position"] for row in result.rows] == [1, 3]
    assert [refusal[0] for refusal in result.refused] == [2]


def test_a_bad_first_line_does_not_make_a_file_of_lines_a_document(read_object: Any):
    result = read_object(KIND, to_lines('{"id": "cut', make_payload()))
    assert ([row["_position"] for row in result.rows], [item[0] for item in result.refused]) == ([2], [1])


def test_times_are_utc_whether_epoch_or_text(read_object: Any):
    payload, spend_log = read_one(read_object, make_payload()), read_one(read_object, make_spend_log())
    assert payload["started_at"] == spend_log["started_at"] == datetime(2026, 9, 1, 0, 0, 0, 100_000)
    assert payload["ended_at"] == spend_log["ended_at"] == datetime(2026, 9, 1, 0, 0, 3, 900_000)
    shifted = read_one(read_object, make_spend_log(startTime="2026-09-01T02:00:00+02:00"))
    assert shifted["started_at"] == datetime(2026, 9, 1)


@pytest.mark.parametrize(
    ("value", "expected"), [(True, True), ("True", True), ("False", False), ("None", None), ("", None), (None, None)]
)
def test_cache_hits_are_flags_however_they_are_written(read_object: Any, value: Any, expected: bool | None):
    assert read_one(read_object, make_spend_log(cache_hit=value))["is_cache_hit"] is expected


def test_empty_text_is_null(read_object: Any):
    row = read_one(read_object, make_payload(end_user="", trace_id="", model_group="", request_tags=[]))
    assert [row[name] for name in ("end_user_id", "trace_id", "model_group", "request_tags")] == [None] * 4


def test_tags_are_json_text_whether_they_came_as_json_or_as_text_of_it(read_object: Any):
    assert read_one(read_object, make_payload())["request_tags"] == '["feature:search"]'
    assert read_one(read_object, make_spend_log())["request_tags"] == '["feature:search"]'
    plain = read_one(read_object, make_spend_log(request_tags="search"))
    assert (plain["request_tags"], plain["_repairs"]) == ('["search"]', "tags_from_plain_text")


def test_a_key_that_was_logged_in_clear_lands_hashed(read_object: Any):
    row = read_one(read_object, make_spend_log(api_key="sk-1234"))
    assert row["api_key_hash"] == "88dc28d0f030c55ed4ab77ed8faf098196cb1c05df778539800c9f1243fe6b4b"
    assert "raw_key_hashed" in row["_repairs"]


def test_caller_keys_are_kept_beside_the_columns(read_object: Any):
    row = read_one(read_object, make_payload(metadata={"spend_logs_metadata": {"ticket": "T-1"}}))
    assert json.loads(row["_extra"]) == {"spend_logs_metadata": {"ticket": "T-1"}}


# Tokens ---------------------------------------------------------------------------------------------------------------


def test_a_cached_token_is_counted_once_under_either_name(read_object: Any):
    usage = {"prompt_tokens_details": {"cached_tokens": 768}, "cache_read_input_tokens": 768}
    row = read_one(read_object, make_payload(metadata={"usage_object": usage, "additional_usage_values": usage}))
    assert row["cache_read_tokens"] == 768


def test_cache_writes_are_split_by_how_long_they_are_kept(read_object: Any):
    usage = {
        "cache_creation_input_tokens": 1000,
        "prompt_tokens_details": {
            "cache_creation_token_details": {"ephemeral_5m_input_tokens": 600, "ephemeral_1h_input_tokens": 300}
        },
    }
    row = read_one(read_object, make_payload(metadata={"usage_object": usage}))
    names = ("cache_write_5m_tokens", "cache_write_1h_tokens", "cache_write_other_tokens")
    assert [row[name] for name in names] == [600, 300, 100]
    row = read_one(read_object, make_payload(metadata={"usage_object": {"cache_creation_input_tokens": 1000}}))
    assert [row[name] for name in names] == [None, None, 1000]


def test_details_come_from_whichever_place_states_them(read_object: Any):
    response = {
        "usage": {
            "completion_tokens_details": {"reasoning_tokens": 120, "audio_tokens": 5},
            "prompt_tokens_details": {"audio_tokens": 7, "image_tokens": 9},
            "server_tool_use": {"web_search_requests": 2},
        }
    }
    row = read_one(read_object, make_payload(response=response, hidden_params={"usage_object": None}))
    names = ("reasoning_tokens", "audio_output_tokens", "audio_input_tokens", "image_input_tokens")
    assert [row[name] for name in (*names, "web_search_requests")] == [120, 5, 7, 9, 2]


NO_TOKENS = {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}
ZERO_USAGE = {"usage_object": {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}}


@pytest.mark.parametrize(
    ("changes", "status", "prompt_tokens"),
    [
        ({}, "reported", 3000),
        (NO_TOKENS, "missing", None),
        (NO_TOKENS | {"metadata": {"usage_object": {}}}, "missing", None),
        (dict.fromkeys(NO_TOKENS), "missing", None),
        (NO_TOKENS | {"metadata": ZERO_USAGE}, "reported_zero", 0),
        (NO_TOKENS | {"status": "failure"}, "reported_zero", 0),
        (NO_TOKENS | {"call_type": "call_mcp_tool"}, "reported_zero", 0),
    ],
)
def test_a_success_without_usage_has_unknown_tokens_and_never_zero(
    read_object: Any, changes: dict[str, Any], status: str, prompt_tokens: int | None
):
    row = read_one(read_object, make_payload(**changes))
    assert (row["usage_status"], row["prompt_tokens"]) == (status, prompt_tokens)


# Money ----------------------------------------------------------------------------------------------------------------


def test_money_is_exact_to_18_places_and_rounds_half_away_from_zero(read_object: Any):
    line = json.dumps(make_payload(response_cost=777))
    text = to_lines(*(line.replace("777", digits) for digits in ("0.123456789012345678", "1e-18", "5e-19", "-5e-19")))
    rows = read_object(KIND, text).rows
    assert [str(row["gateway_cost_usd"]) for row in rows] == ["0.123456789012345678", "1E-18", "1E-18", "-1E-18"]
    assert [row["_repairs"] for row in rows] == [None, None, "rounded_to_18_places", "rounded_to_18_places"]


def test_a_cost_the_gateway_could_not_compute_is_null_and_not_zero(read_object: Any):
    assert read_one(read_object, make_spend_log(spend=None))["gateway_cost_usd"] is None
    assert read_one(read_object, make_payload(response_cost=ABSENT))["gateway_cost_usd"] is None
    debug = {"error_str": "This model isn't mapped yet"}
    row = read_one(read_object, make_payload(response_cost=0.0, response_cost_failure_debug_info=debug))
    assert (row["gateway_cost_usd"], row["_repairs"]) == (None, "unpriced_zero_to_null")
    assert read_one(read_object, make_payload(response_cost=0.0))["gateway_cost_usd"] == 0


def test_the_tier_and_the_error_are_kept(read_object: Any):
    row = read_one(
        read_object,
        make_payload(cost_breakdown={"service_tier": "flex"}, error_information={"error_class": "Timeout"}),
    )
    assert (row["service_tier"], row["error_class"]) == ("flex", "Timeout")


# Lines that cannot be landed ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "field"),
    [
        ('{"id": "cut', None),
        ("not json", None),
        ("[1, 2]", None),
        ('"text"', None),
        (make_payload(id=ABSENT), "id"),
        (make_payload(id=None), "id"),
        (make_spend_log(request_id=""), "request_id"),
        (make_payload(startTime=ABSENT), "startTime"),
        (make_payload(startTime="soon"), "startTime"),
        (make_payload(startTime=1788220800100), "startTime"),
        (make_payload(model=""), "model"),
        (make_payload(prompt_tokens=-1), "prompt_tokens"),
        (make_payload(prompt_tokens="many"), "prompt_tokens"),
        (make_payload(prompt_tokens=10**30), "prompt_tokens"),
        (json.dumps(make_payload(model="M")).replace('"M"', '"\\ud800"'), None),
        (make_payload(metadata={"usage_object": {"cache_read_input_tokens": -5}}), "cache_read_tokens"),
        (make_payload(endTime=1788220800.0), "endTime"),
        (make_payload(response_cost="dear"), "response_cost"),
        (make_spend_log(metadata="{cut"), "metadata"),
    ],
)
def test_a_line_that_cannot_be_landed_is_refused_by_number_and_field(read_object: Any, line: Any, field: str | None):
    result = read_object(KIND, to_lines(make_payload(id="before"), line, make_payload(id="after")))
    assert [row["request_id"] for row in result.rows] == ["before", "after"]
    ((position, refused_field, reason, _),) = result.refused
    assert (position, refused_field) == (2, field)
    assert reason


def test_a_line_that_is_not_utf8_is_refused_alone(read_object: Any):
    good = json.dumps(make_payload()).encode()
    result = read_object(KIND, good + b"\n" + good.replace(b"chatcmpl-1", b"\xff\xfe") + b"\n" + good)
    assert (result.row_count, [item[0] for item in result.refused]) == (2, [2])


def test_numbers_that_are_not_json_become_null(read_object: Any):
    row = read_one(read_object, make_payload(response_cost=float("nan")))
    assert (row["gateway_cost_usd"], row["_repairs"]) == (None, "not_finite_to_null")


def test_landed_and_refused_add_up_over_several_batches(read_object: Any):
    line, bad = json.dumps(make_payload()) + "\n", "{\n"
    result = read_object(KIND, (line * 6 + bad) * 6_000)
    assert (result.row_count, len(result.refused)) == (36_000, 6_000)
    assert len(result.batches) > 1
    assert sorted(row["_position"] for row in result.rows)[-1] == 41_999


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "empty"),
        (b"\n \n", "no record"),
        (b"date,team,cost\n2026-09-01,a,1\n", "no line is a JSON object"),
        (b"PAR1\x00\x15\x04\n\x15", "is Parquet, where text is read"),
        (gzip.compress(to_lines(make_payload()).encode() * 50, mtime=0)[:-20], "truncated gzip"),
        (b"\x1f\x8b" + b"junk" * 20, "damaged gzip"),
        (b"{\n", "not one JSON document"),
    ],
)
def test_an_object_that_holds_no_gateway_records_is_refused_whole(read_object: Any, content: bytes, reason: str):
    with pytest.raises(ObjectRefusedError, match=reason):
        read_object(KIND, content)
