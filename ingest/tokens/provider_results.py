"""Results in the usage and cost reports of model providers, typed, and the row that each one lands as.

Sources: OpenAI's organization usage and costs (openai-openapi), Anthropic's usage and cost reports of its Admin API.
OpenAI counts cached, written, audio and image tokens inside its totals; here every token stands in one class.
"""

from decimal import Decimal
from typing import Any, Final

import msgspec

from ingest.values import round_money

_CENTS: Final = Decimal(100)
_OPENAI_USAGE: Final = "organization.usage."
_OPENAI_COSTS: Final = "organization.costs.result"


class ResultError(Exception):
    """A result that cannot be landed; the text says why."""


class _OpenaiUsage(msgspec.Struct, gc=False):
    input_tokens: int = 0
    input_cached_tokens: int | None = None
    input_cache_write_tokens: int | None = None
    input_audio_tokens: int | None = None
    input_cached_audio_tokens: int | None = None
    input_image_tokens: int | None = None
    input_cached_image_tokens: int | None = None
    output_tokens: int = 0
    output_audio_tokens: int | None = None
    output_image_tokens: int | None = None
    num_model_requests: int | None = None
    project_id: str | None = None
    api_key_id: str | None = None
    user_id: str | None = None
    model: str | None = None
    service_tier: str | None = None
    batch: bool | None = None


class _Amount(msgspec.Struct, gc=False):
    value: Decimal
    currency: str


class _OpenaiCost(msgspec.Struct, gc=False):
    amount: _Amount
    line_item: str | None = None
    project_id: str | None = None
    api_key_id: str | None = None
    quantity: float | None = None
    quantity_unit: str | None = None


class _CacheCreation(msgspec.Struct, gc=False, frozen=True):
    ephemeral_5m_input_tokens: int = 0
    ephemeral_1h_input_tokens: int = 0


class _ServerToolUse(msgspec.Struct, gc=False, frozen=True):
    web_search_requests: int = 0


class _AnthropicUsage(msgspec.Struct, gc=False):
    uncached_input_tokens: int
    output_tokens: int
    cache_read_input_tokens: int = 0
    cache_creation: _CacheCreation = _CacheCreation()
    server_tool_use: _ServerToolUse = _ServerToolUse()
    workspace_id: str | None = None
    api_key_id: str | None = None
    model: str | None = None
    service_tier: str | None = None
    context_window: str | None = None
    inference_geo: str | None = None


class _AnthropicCost(msgspec.Struct, gc=False):
    amount: Decimal  # in cents
    currency: str
    cost_type: str | None = None
    description: str | None = None
    workspace_id: str | None = None
    model: str | None = None
    token_type: str | None = None
    service_tier: str | None = None
    context_window: str | None = None
    inference_geo: str | None = None


class _Marks(msgspec.Struct, gc=False):
    """What tells the four sorts of result apart."""

    object: str | None = None
    uncached_input_tokens: Any = None
    amount: Any = None


def read_result(result: msgspec.Raw) -> dict[str, Any]:
    """A landing row's columns but for its bucket. Raises `ResultError`."""
    try:
        marks = msgspec.json.decode(result, type=_Marks)
        if marks.object == _OPENAI_COSTS:
            return _read_openai_cost(msgspec.json.decode(result, type=_OpenaiCost))
        if marks.object is not None and marks.object.startswith(_OPENAI_USAGE):
            service = marks.object.removeprefix(_OPENAI_USAGE).removesuffix(".result")
            return _read_openai_usage(service, msgspec.json.decode(result, type=_OpenaiUsage))
        if marks.object is None and marks.uncached_input_tokens is not None:
            return _read_anthropic_usage(msgspec.json.decode(result, type=_AnthropicUsage))
        if marks.object is None and marks.amount is not None:
            return _read_anthropic_cost(msgspec.json.decode(result, type=_AnthropicCost))
    except (msgspec.DecodeError, ValueError) as error:
        raise ResultError(str(error)) from error
    raise ResultError("no result of OpenAI's or Anthropic's usage or cost report")


def _read_openai_usage(service: str, usage: _OpenaiUsage) -> dict[str, Any]:
    cached, written = usage.input_cached_tokens or 0, usage.input_cache_write_tokens or 0
    audio = (usage.input_audio_tokens or 0) - (usage.input_cached_audio_tokens or 0)
    image = (usage.input_image_tokens or 0) - (usage.input_cached_image_tokens or 0)
    audio_output, image_output = usage.output_audio_tokens or 0, usage.output_image_tokens or 0
    row = {
        "provider": "openai",
        "report": "usage",
        "service": service,
        "project_id": usage.project_id,
        "api_key_id": usage.api_key_id,
        "user_id": usage.user_id,
        "model": usage.model,
        "service_tier": usage.service_tier,
        "is_batch": usage.batch,
        "uncached_input_tokens": usage.input_tokens - cached - written - audio - image,
        "cache_read_tokens": cached,
        "cache_write_5m_tokens": 0,
        "cache_write_1h_tokens": 0,
        "cache_write_other_tokens": written,
        "audio_input_tokens": audio,
        "image_input_tokens": image,
        "output_tokens": usage.output_tokens - audio_output - image_output,
        "audio_output_tokens": audio_output,
        "image_output_tokens": image_output,
        "request_count": usage.num_model_requests,
    }
    return _check_counts(row)


def _read_openai_cost(cost: _OpenaiCost) -> dict[str, Any]:
    return {
        "provider": "openai",
        "report": "costs",
        "project_id": cost.project_id,
        "api_key_id": cost.api_key_id,
        "line_item": cost.line_item,
        "reported_cost": round_money(cost.amount.value),
        "currency": cost.amount.currency.upper(),
        "quantity": cost.quantity,
        "quantity_unit": cost.quantity_unit,
    }


def _read_anthropic_usage(usage: _AnthropicUsage) -> dict[str, Any]:
    row = {
        "provider": "anthropic",
        "report": "usage",
        "service": "messages",
        "project_id": usage.workspace_id,
        "api_key_id": usage.api_key_id,
        "model": usage.model,
        "service_tier": usage.service_tier,
        "context_window": usage.context_window,
        "inference_geo": usage.inference_geo,
        "is_batch": None if usage.service_tier is None else usage.service_tier == "batch",
        "uncached_input_tokens": usage.uncached_input_tokens,
        "cache_read_tokens": usage.cache_read_input_tokens,
        "cache_write_5m_tokens": usage.cache_creation.ephemeral_5m_input_tokens,
        "cache_write_1h_tokens": usage.cache_creation.ephemeral_1h_input_tokens,
        "cache_write_other_tokens": 0,
        "audio_input_tokens": 0,
        "image_input_tokens": 0,
        "output_tokens": usage.output_tokens,
        "audio_output_tokens": 0,
        "image_output_tokens": 0,
        "web_search_request_count": usage.server_tool_use.web_search_requests,
    }
    return _check_counts(row)


def _read_anthropic_cost(cost: _AnthropicCost) -> dict[str, Any]:
    return {
        "provider": "anthropic",
        "report": "costs",
        "project_id": cost.workspace_id,
        "model": cost.model,
        "service_tier": cost.service_tier,
        "context_window": cost.context_window,
        "inference_geo": cost.inference_geo,
        "line_item": cost.description,
        "cost_type": cost.cost_type,
        "token_type": cost.token_type,
        "reported_cost": round_money(cost.amount / _CENTS),
        "currency": cost.currency.upper(),
    }


def _check_counts(row: dict[str, Any]) -> dict[str, Any]:
    """Counts below zero, and parts that are more than their whole, are no counts."""
    for name, value in row.items():
        if isinstance(value, int) and value < 0:
            raise ResultError(f"{name} comes to {value}: its parts are more than the whole")
    return row
