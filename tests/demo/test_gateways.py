"""What makes gateway logs hard is in them, whatever the scale."""

import json
from collections import Counter
from typing import Any

import pytest

from demo.company import CompanySummary
from tests.demo.reading import read_lines

Records = list[dict[str, Any]]


def is_well_formed(record: dict[str, Any]) -> bool:
    has_id = bool(record["litellm_call_id"])
    return has_id and record["endTime"] >= record["startTime"] and record["prompt_tokens"] >= 0


@pytest.fixture(scope="module")
def payloads(company: CompanySummary) -> Records:
    """StandardLoggingPayload records of gateway-a that are JSON."""
    return read_lines(company.sources["gateway-a"])[0]


@pytest.fixture(scope="module")
def spend_logs(company: CompanySummary) -> Records:
    """SpendLogs rows of gateway-b that are JSON."""
    return read_lines(company.sources["gateway-b"])[0]


@pytest.fixture(scope="module")
def good(payloads: Records, spend_logs: Records) -> Records:
    """Well-formed records of both, each request once."""
    records = [record for record in [*payloads, *spend_logs] if is_well_formed(record)]
    return list({record["litellm_call_id"]: record for record in records}.values())


def usage_of(record: dict[str, Any]) -> Any:
    metadata = record["metadata"]
    return (json.loads(metadata) if isinstance(metadata, str) else metadata)["usage_object"]


def test_planted_counts_are_found(
    company: CompanySummary, payloads: Records, spend_logs: Records, good: Records
) -> None:
    delivered = [record for record in [*payloads, *spend_logs] if is_well_formed(record)]
    assert len(good) == company.request_count
    assert len(delivered) - len(good) == company.duplicate_request_count > 0
    assert sum(record["status"] == "failure" for record in good) == company.failed_request_count > 0
    silent = [record for record in good if record["status"] == "success" and usage_of(record) is None]
    assert len(silent) == company.missing_usage_request_count > 0
    unpriced = [record for record in good if record["custom_llm_provider"] == "hosted_vllm"]
    assert sum(record["status"] == "success" for record in unpriced) == company.unpriced_request_count > 0


def test_the_two_forms_differ_as_litellm_writes_them(payloads: Records, spend_logs: Records) -> None:
    assert all(isinstance(record["startTime"], float) for record in payloads)
    assert all(isinstance(record["metadata"], dict) for record in payloads)
    assert all(record["startTime"].endswith("+00:00") for record in spend_logs)
    assert all(isinstance(record["metadata"], str) for record in spend_logs)
    assert {type(record["spend"]).__name__ for record in spend_logs} == {"float", "int", "NoneType"}


def test_duplicates_repeat_a_line_also_in_the_next_days_log(company: CompanySummary) -> None:
    first, second, *_ = company.sources["gateway-a"].files
    truth = {path: read_lines_of(company, path) for path in (first, second)}
    assert max(truth[first].values()) > 1
    assert truth[first].keys() & truth[second].keys()


def read_lines_of(company: CompanySummary, path: Any) -> Counter[str]:
    source = type(company.sources["gateway-a"])(files=[path])
    return Counter(record["litellm_call_id"] for record in read_lines(source)[0] if record["litellm_call_id"])


def test_every_kind_of_malformed_line_occurs(company: CompanySummary, payloads: Records, spend_logs: Records) -> None:
    records = [*payloads, *spend_logs]
    broken = sum(read_lines(company.sources[name])[1] for name in ("gateway-a", "gateway-b"))
    negative = sum(record["prompt_tokens"] < 0 for record in records)
    nameless = sum(not record["litellm_call_id"] for record in records)
    reversed_records = sum(record["endTime"] < record["startTime"] for record in records)
    assert min(broken, negative, nameless, reversed_records) > 0
    malformed = sum(company.sources[name].malformed_rows for name in ("gateway-a", "gateway-b"))
    assert broken + negative + nameless + reversed_records == malformed


def test_cached_written_and_reasoning_tokens_are_reported(good: Records) -> None:
    usages = [usage for record in good if (usage := usage_of(record))]
    written = [usage["prompt_tokens_details"].get("cache_creation_token_details") or {} for usage in usages
               if usage["prompt_tokens_details"]]  # fmt: skip
    assert any(details.get("ephemeral_5m_input_tokens") for details in written)
    assert any(details.get("ephemeral_1h_input_tokens") for details in written)
    assert any((usage["prompt_tokens_details"] or {}).get("cached_tokens") for usage in usages)
    assert any((usage["completion_tokens_details"] or {}).get("reasoning_tokens") for usage in usages)


def test_parts_of_a_count_never_exceed_it(good: Records) -> None:
    for record in good:
        usage = usage_of(record) or {}
        prompt = usage.get("prompt_tokens_details") or {}
        output = usage.get("completion_tokens_details") or {}
        parts = (prompt.get("cached_tokens") or 0) + (prompt.get("cache_creation_tokens") or 0)
        assert parts <= record["prompt_tokens"]
        assert (output.get("reasoning_tokens") or 0) <= record["completion_tokens"]


def test_long_inputs_reach_the_second_price_tier(good: Records) -> None:
    long = [record for record in good if record["prompt_tokens"] > 200_000]
    assert long
    assert {record["model"] for record in long} == {"gemini-2.5-pro"}


def test_a_model_without_a_price_costs_zero_at_the_gateway(good: Records) -> None:
    own = [record for record in good if record["custom_llm_provider"] == "hosted_vllm"]
    assert own
    assert not any(record["spend"] for record in own)
    assert sum(record["total_tokens"] for record in own) > 0


def test_all_models_keys_tags_and_customers_occur(good: Records) -> None:
    assert {record["model_group"] for record in good} == {
        "gpt-4o", "gpt-4o-mini", "o3", "gpt-5", "claude-sonnet-4-5", "gemini-2.5-pro", "llama-3.3-70b",
    }  # fmt: skip
    assert any(record["end_user"].startswith("cust-") for record in good)
    assert all("app:" in str(record["request_tags"]) and "env:" in str(record["request_tags"]) for record in good)


def test_some_requests_have_no_team_an_unknown_one_or_one_renamed(payloads: Records) -> None:
    teams = {record["metadata"]["user_api_key_team_id"] for record in payloads}
    assert {"", "growth-exp", "search", "discovery"} <= teams
