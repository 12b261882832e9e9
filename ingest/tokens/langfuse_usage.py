"""Usage of a Langfuse observation: free keys, of which each SDK has its own, as counts by class."""

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from ingest.tokens.litellm_records import BadRecordError

_INPUT: Final = ("input", "prompt", "input_tokens", "prompt_tokens")
_OUTPUT: Final = ("output", "completion", "output_tokens", "completion_tokens")
_TOTAL: Final = ("total", "total_tokens")
_OUTPUT_SIDE: Final = re.compile(r"^(output|completion|candidates|reason|thought)")
_CLASSES: Final = (  # what a key is a count of, the first that its name holds
    ("reasoning_tokens", re.compile(r"reason|thought")),
    ("cache_write_1h_tokens", re.compile(r"1h")),
    ("cache_write_5m_tokens", re.compile(r"5m")),
    ("cache_write_tokens", re.compile(r"cache.*(creat|writ)")),
    ("cache_read_tokens", re.compile(r"cache")),
    ("audio_tokens", re.compile(r"audio")),
    ("image_tokens", re.compile(r"image")),
)


def read_usage(details: Any, repairs: list[str]) -> tuple[int | None, int | None, Mapping[str, Any] | None]:
    """(input, output, details as LiteLLM has them): totals that hold their parts. Nothing stated is null.

    Some SDKs count parts inside input and output, Langfuse's own ingestion takes them out: the total tells. Raises
    `BadRecordError` for a count that is none.
    """
    if not isinstance(details, Mapping) or not details:
        return None, None, None
    counts = {str(key).lower(): _count(str(key), value) for key, value in details.items() if value is not None}
    total = next((counts[key] for key in _TOTAL if key in counts), None)
    given = [next((counts[key] for key in keys if key in counts), None) for keys in (_INPUT, _OUTPUT)]
    parts = {key: count for key, count in counts.items() if key not in (*_INPUT, *_OUTPUT, *_TOTAL)}
    sides: list[dict[str, int]] = [{}, {}]
    unknown = [0, 0]
    for key, count in parts.items():
        side = 1 if _OUTPUT_SIDE.match(key) else 0
        name = next((name for name, pattern in _CLASSES if pattern.search(key)), None)
        if name is None:
            unknown[side] += count
            repairs.append("unknown_usage_key")
        else:
            sides[side][name] = sides[side].get(name, 0) + count
    plain = sum(count or 0 for count in given)
    is_apart = total is not None and total == plain + sum(parts.values()) and any(parts.values())
    inside = [
        count + (sum(side.values()) + other if is_apart else 0) if count is not None else None
        for count, side, other in zip(given, sides, unknown, strict=True)
    ]
    if inside == [None, None]:
        return None, None, None
    read = [0 if count is None else count for count in inside]
    return read[0], read[1], _spell(read, sides)


def _spell(totals: list[int], sides: list[dict[str, int]]) -> dict[str, Any]:
    entered, left = sides
    stated = [entered.get(f"cache_write_{lifetime}_tokens") for lifetime in ("5m", "1h")]
    written = [count for count in (entered.get("cache_write_tokens"), *stated) if count is not None]
    return {
        "prompt_tokens": totals[0],
        "completion_tokens": totals[1],
        "prompt_tokens_details": {
            "cached_tokens": entered.get("cache_read_tokens"),
            "cache_write_tokens": sum(written) if written else None,
            "cache_creation_token_details": {
                "ephemeral_5m_input_tokens": stated[0],
                "ephemeral_1h_input_tokens": stated[1],
            },
            "audio_tokens": entered.get("audio_tokens"),
            "image_tokens": entered.get("image_tokens"),
        },
        "completion_tokens_details": {
            "reasoning_tokens": left.get("reasoning_tokens"),
            "audio_tokens": left.get("audio_tokens"),
            "image_tokens": left.get("image_tokens"),
        },
    }


def _count(key: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, Decimal)) or value != int(value) or value < 0:
        raise BadRecordError("usageDetails", f"{key} is not a count of tokens", str(value)[:64])
    return int(value)
