"""Token details of a LiteLLM record: the usage objects it may carry, and one count per class from them.

The same counts stand under OpenAI's, Anthropic's and LiteLLM's own names, in up to four places of a record; a count
is taken once, from the first place that has it.
"""

from typing import Final

import msgspec
from msgspec import UnsetType


class CacheWrites(msgspec.Struct, gc=False):
    """Cache writes by how long they are kept."""

    ephemeral_5m_input_tokens: int | None = None
    ephemeral_1h_input_tokens: int | None = None


class PromptDetails(msgspec.Struct, gc=False):
    """Parts of the prompt tokens."""

    cached_tokens: int | None = None
    cache_write_tokens: int | None = None
    cache_creation_tokens: int | None = None
    cache_creation_token_details: CacheWrites | None = None
    audio_tokens: int | None = None
    image_tokens: int | None = None


class CompletionDetails(msgspec.Struct, gc=False):
    """Parts of the completion tokens."""

    reasoning_tokens: int | None = None
    audio_tokens: int | None = None
    image_tokens: int | None = None


class ToolUse(msgspec.Struct, gc=False):
    """Built-in tools the provider ran and bills by the request."""

    web_search_requests: int | None = None


class Usage(msgspec.Struct, gc=False):
    """One usage object, in chat completions' or the responses API's names."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    total_tokens: int | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    cache_creation_input_tokens: int | None = None
    cache_creation: CacheWrites | None = None
    prompt_tokens_details: PromptDetails | None = None
    input_tokens_details: PromptDetails | None = None
    completion_tokens_details: CompletionDetails | None = None
    output_tokens_details: CompletionDetails | None = None
    server_tool_use: ToolUse | None = None


class _Response(msgspec.Struct, gc=False):
    usage: Usage | None = None


DETAIL_COLUMNS: Final = (
    "cache_read_tokens",
    "cache_write_5m_tokens",
    "cache_write_1h_tokens",
    "cache_write_other_tokens",
    "reasoning_tokens",
    "audio_input_tokens",
    "audio_output_tokens",
    "image_input_tokens",
    "image_output_tokens",
    "web_search_requests",
)
NO_DETAILS: Final[tuple[int | None, ...]] = (None,) * len(DETAIL_COLUMNS)

_NO_PROMPT_DETAILS: Final = PromptDetails()
_NO_COMPLETION_DETAILS: Final = CompletionDetails()
_NO_CACHE_WRITES: Final = CacheWrites()
_decode_usage: Final = msgspec.json.Decoder(Usage).decode
_decode_response: Final = msgspec.json.Decoder(_Response).decode


def read_usages(*places: Usage | str | msgspec.Raw | UnsetType | None) -> list[Usage]:
    """Usage objects in the order given; text is decoded, and a raw response only when no usage stands before it."""
    usages: list[Usage] = []
    for place in places:
        if place is None:
            continue
        usage = None
        if isinstance(place, Usage):
            usage = place
        elif isinstance(place, str) and place:
            usage = _try_decode_usage(place)
        elif isinstance(place, msgspec.Raw) and not is_reporting_counts(usages):
            usage = _try_decode_response(place)
        if usage is not None:
            usages.append(usage)
    return usages


def is_reporting_counts(usages: list[Usage]) -> bool:
    """Whether any usage object states a count, be it 0."""
    return any(
        usage.prompt_tokens is not None
        or usage.completion_tokens is not None
        or usage.total_tokens is not None
        or usage.input_tokens is not None
        or usage.output_tokens is not None
        for usage in usages
    )


def read_token_details(usages: list[Usage], repairs: list[str]) -> tuple[int | None, ...]:
    """Counts in the order of `DETAIL_COLUMNS`, null where no place states one; codes of mends go to `repairs`."""
    details = NO_DETAILS
    for usage in usages:
        found = _read_details(usage, repairs)
        if found is NO_DETAILS or details is NO_DETAILS:
            details = found if details is NO_DETAILS else details
        else:
            details = tuple(
                later if earlier is None else earlier for earlier, later in zip(details, found, strict=True)
            )
    return details


def _read_details(usage: Usage, repairs: list[str]) -> tuple[int | None, ...]:
    prompt = usage.prompt_tokens_details or usage.input_tokens_details
    completion = usage.completion_tokens_details or usage.output_tokens_details
    if (
        prompt is None
        and completion is None
        and usage.cache_read_input_tokens is None
        and usage.cache_creation_input_tokens is None
        and usage.server_tool_use is None
    ):
        return NO_DETAILS
    prompt = prompt or _NO_PROMPT_DETAILS
    completion = completion or _NO_COMPLETION_DETAILS
    writes = prompt.cache_creation_token_details or usage.cache_creation or _NO_CACHE_WRITES
    return (
        # The two names hold one count: adding them would double it.
        _larger(prompt.cached_tokens, usage.cache_read_input_tokens),
        writes.ephemeral_5m_input_tokens,
        writes.ephemeral_1h_input_tokens,
        _read_other_writes(usage, prompt, writes, repairs),
        completion.reasoning_tokens,
        prompt.audio_tokens,
        completion.audio_tokens,
        prompt.image_tokens,
        completion.image_tokens,
        None if usage.server_tool_use is None else usage.server_tool_use.web_search_requests,
    )


def _read_other_writes(usage: Usage, prompt: PromptDetails, writes: CacheWrites, repairs: list[str]) -> int | None:
    """Cache writes whose lifetime is not stated: the total less the 5 minute and 1 hour ones."""
    total = _larger(prompt.cache_write_tokens, _larger(prompt.cache_creation_tokens, usage.cache_creation_input_tokens))
    if total is None:
        return None
    stated = (writes.ephemeral_5m_input_tokens or 0) + (writes.ephemeral_1h_input_tokens or 0)
    if stated > total:
        repairs.append("cache_write_details_exceed_total")
        return 0
    return total - stated


def _larger(first: int | None, second: int | None) -> int | None:
    if first is None:
        return second
    return first if second is None else max(first, second)


def _try_decode_usage(text: str) -> Usage | None:
    try:
        return _decode_usage(text)
    except msgspec.DecodeError:
        return None


def _try_decode_response(response: msgspec.Raw) -> Usage | None:
    """Usage of a response object; a response that is text, null or redacted has none."""
    try:
        return _decode_response(response).usage
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
