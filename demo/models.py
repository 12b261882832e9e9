"""The language models in use: list prices in USD per million tokens, as published for October 2026."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Final

TOKEN_CLASSES: Final = ("input", "cache_read", "cache_write_5m", "cache_write_1h", "output")


@dataclass(frozen=True)
class LanguageModel:
    """A model as the gateway names it. Prices are by token class; none means that nobody publishes a price.

    `invoice` is the provider whose bill carries it, or None. Above `tier_start_tokens` of input the whole request is
    priced at `tier_prices`.
    """

    name: str
    gateway_provider: str
    gateway_model: str
    invoice: str | None
    prompt_tokens: int  # typical
    output_tokens: int  # typical
    prices: dict[str, Decimal] | None
    tier_start_tokens: int | None = None
    tier_prices: dict[str, Decimal] | None = None
    is_reasoning: bool = False
    writes_cache: bool = False
    api_base: str = ""


def _prices(*usd_per_mtok: str) -> dict[str, Decimal]:
    return dict(zip(("input", "cache_read", "output"), map(Decimal, usd_per_mtok), strict=True))


MODELS: Final = (
    LanguageModel(
        "gpt-4o",
        "openai",
        "gpt-4o",
        "openai",
        5200,
        520,
        _prices("2.5", "1.25", "10"),
        api_base="https://api.openai.com/v1",
    ),
    LanguageModel(
        "gpt-4o-mini",
        "openai",
        "gpt-4o-mini",
        "openai",
        3100,
        340,
        _prices("0.15", "0.075", "0.6"),
        api_base="https://api.openai.com/v1",
    ),
    LanguageModel(
        "o3",
        "openai",
        "o3",
        "openai",
        7400,
        3600,
        _prices("2", "0.5", "8"),
        is_reasoning=True,
        api_base="https://api.openai.com/v1",
    ),
    LanguageModel(
        "gpt-5",
        "openai",
        "gpt-5",
        "openai",
        9800,
        2900,
        _prices("1.25", "0.125", "10"),
        is_reasoning=True,
        api_base="https://api.openai.com/v1",
    ),
    LanguageModel(
        "claude-sonnet-4-5",
        "anthropic",
        "claude-sonnet-4-5",
        "anthropic",
        14000,
        780,
        {
            "input": Decimal("3"),
            "cache_read": Decimal("0.3"),
            "cache_write_5m": Decimal("3.75"),
            "cache_write_1h": Decimal("6"),
            "output": Decimal("15"),
        },
        writes_cache=True,
        api_base="https://api.anthropic.com",
    ),
    LanguageModel(
        "gemini-2.5-pro",
        "vertex_ai",
        "gemini-2.5-pro",
        None,
        6100,
        900,
        _prices("1.25", "0.125", "10"),
        tier_start_tokens=200_000,
        tier_prices=_prices("2.5", "0.25", "15"),
        is_reasoning=True,
        api_base="https://us-central1-aiplatform.googleapis.com",
    ),
    LanguageModel(
        "llama-3.3-70b",
        "hosted_vllm",
        "meta-llama/Llama-3.3-70B-Instruct",
        None,
        2600,
        410,
        None,
        api_base="http://vllm-llama.inference.svc.cluster.local:8000/v1",
    ),
)

CONTRACT_MODEL: Final = "gpt-4o-mini"
CONTRACT_SHARE: Final = Decimal("0.9")
"""From the day of the rename OpenAI bills this model at 90% of list; config/price_overrides.csv says so too."""
