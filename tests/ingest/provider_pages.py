"""Pages of OpenAI's and Anthropic's usage and cost reports, as their API descriptions have them."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

DAY = datetime(2025, 6, 1, tzinfo=UTC)


def openai_page(*results: dict[str, Any], day: int = 0, hours: int = 24, next_page: str | None = None) -> str:
    start = DAY + timedelta(days=day)
    bucket = {
        "object": "bucket",
        "start_time": int(start.timestamp()),
        "end_time": int((start + timedelta(hours=hours)).timestamp()),
        "results": results,
    }
    return json.dumps({"object": "page", "data": [bucket], "has_more": bool(next_page), "next_page": next_page})


def openai_usage(service: str = "completions", **counts: Any) -> dict[str, Any]:
    """One result; the counts of the API's documented example unless told."""
    usual: dict[str, Any] = {
        "input_tokens": 1000,
        "input_cached_tokens": 400,
        "input_cache_write_tokens": 100,
        "output_tokens": 500,
        "input_audio_tokens": 50,
        "input_cached_audio_tokens": 50,
        "output_audio_tokens": 50,
        "num_model_requests": 5,
        "project_id": "proj_a",
        "model": "gpt-4o",
    }
    return {"object": f"organization.usage.{service}.result", **usual, **counts}


def openai_cost(value: float | str, line_item: str | None = "gpt-4o, input") -> dict[str, Any]:
    amount = {"value": value, "currency": "usd"}
    return {
        "object": "organization.costs.result",
        "amount": amount,
        "line_item": line_item,
        "project_id": "proj_a",
        "quantity": None,
    }


def anthropic_page(*results: dict[str, Any], day: int = 0, next_page: str | None = None) -> str:
    start = DAY + timedelta(days=day)
    bucket = {
        "starting_at": f"{start:%Y-%m-%dT%H:%M:%SZ}",
        "ending_at": f"{start + timedelta(days=1):%Y-%m-%dT%H:%M:%SZ}",
        "results": results,
    }
    return json.dumps({"data": [bucket], "has_more": bool(next_page), "next_page": next_page})


def anthropic_usage(**counts: Any) -> dict[str, Any]:
    usual: dict[str, Any] = {
        "uncached_input_tokens": 1500,
        "cache_creation": {"ephemeral_1h_input_tokens": 1000, "ephemeral_5m_input_tokens": 500},
        "cache_read_input_tokens": 200,
        "output_tokens": 300,
        "server_tool_use": {"web_search_requests": 10},
        "workspace_id": None,
        "api_key_id": "apikey_1",
        "model": "claude-opus-4",
        "service_tier": "batch",
        "context_window": "0-200k",
    }
    return usual | counts


def anthropic_cost(cents: str, **fields: Any) -> dict[str, Any]:
    usual = {
        "currency": "USD",
        "cost_type": "tokens",
        "description": "Claude Opus 4 Usage - Input Tokens",
        "model": "claude-opus-4",
        "token_type": "uncached_input_tokens",
    }
    return {"amount": cents} | usual | fields
