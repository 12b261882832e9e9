"""The dated price book of API models: list prices of genai-prices for the models the gateway called.

Source: the snapshot inside the installed genai-prices package; nothing is fetched. USD per million tokens, effective
dated; time-of-day and service-tier prices of the snapshot are left out, and said so in `price_book`.
"""

import hashlib
import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import duckdb
import pyarrow as pa
from genai_prices.data_snapshot import get_snapshot
from genai_prices.types import ModelInfo, ModelPrice, StartDateConstraint, TieredPrices, TimeOfDateConstraint

from ingest.contracts import LLM_PRICES

_BOOK: Final = "genai-prices"
_TIME_OF_DAY_NOTE: Final = "time-of-day prices left out"
_RATE_QUANTUM: Final = Decimal(1).scaleb(-9)

# Gateway spelling (LiteLLM's custom_llm_provider, also its model prefix) -> the book's provider. Explicit on purpose:
# the book's own matching would price `openai_like` or `custom_openai` endpoints, which may be anyone's, as OpenAI.
_PROVIDERS: Final = {
    "anthropic": "anthropic",
    "azure": "azure",
    "azure_ai": "azure",
    "baseten": "baseten",
    "bedrock": "aws",
    "bedrock_converse": "aws",
    "cerebras": "cerebras",
    "cloudflare": "cloudflare",
    "cohere": "cohere",
    "cohere_chat": "cohere",
    "databricks": "databricks",
    "deepseek": "deepseek",
    "elevenlabs": "elevenlabs",
    "fireworks_ai": "fireworks",
    "gemini": "google",
    "github_copilot": "github-copilot",
    "groq": "groq",
    "minimax": "minimax",
    "mistral": "mistral",
    "moonshot": "moonshotai",
    "novita": "novita",
    "openai": "openai",
    "openrouter": "openrouter",
    "ovhcloud": "ovhcloud",
    "perplexity": "perplexity",
    "text-completion-openai": "openai",
    "together_ai": "together",
    "vertex_ai": "google",
    "vertex_ai_beta": "google",
    "voyage": "voyageai",
    "xai": "x-ai",
    "zai": "zai",
}
GATEWAY_SPELLINGS: Final = {book_id: spelling for spelling, book_id in reversed(_PROVIDERS.items())}
"""The first gateway spelling of each of the book's providers."""

# Parts of a model name that say how or where it is called, not what it is.
_ROUTES: Final = frozenset({"converse", "converse_like", "invoke", "responses", "global", "us", "eu"})
_REGION: Final = re.compile(r"[a-z]{2}(?:-[a-z]+)+-?\d*")

# Each class with the keys that price it, first match wins: what has no price of its own is priced as its parent.
_CLASSES: Final = {
    "input": ("input_mtok",),
    "cache_read": ("cache_read_mtok", "input_mtok"),
    "cache_write_5m": ("cache_write_5m_mtok", "cache_write_mtok", "input_mtok"),
    "cache_write_1h": ("cache_write_1h_mtok", "cache_write_mtok", "input_mtok"),
    "output": ("output_mtok",),
    "input_audio": ("input_audio_mtok", "input_mtok"),
    "output_audio": ("output_audio_mtok", "output_mtok"),
}


def price_book(pairs: Iterable[tuple[str | None, str]]) -> pa.Table:
    """Prices of the (gateway provider, gateway model) pairs, as `contracts.LLM_PRICES` columns in a fixed order.

    A pair the book does not know has no row: its calls are unpriced, not free. Rows of a pair, class and tier follow
    each other half-open in [valid_from, valid_to), null meaning since ever and still.
    """
    rows: list[dict[str, Any]] = []
    for provider, model in sorted(set(pairs), key=lambda pair: (pair[0] or "", pair[1])):
        if (found := find_model(provider, model)) is not None:
            rows.extend(_list_prices(provider, model, found))
    return pa.Table.from_pylist(rows, schema=pa.schema(LLM_PRICES.columns))


def gateway_pairs(files: Sequence[Path]) -> set[tuple[str | None, str]]:
    """Distinct (provider, model) of `litellm_requests` Parquet files."""
    if not files:
        return set()
    with duckdb.connect() as connection:
        found = connection.execute(
            "select distinct provider, model from read_parquet($files, union_by_name = true) where model is not null",
            {"files": [str(file) for file in files]},
        ).fetchall()
    return {(provider, model) for provider, model in found}


def find_model(provider: str | None, model: str) -> ModelInfo | None:
    """The book's model for a gateway's spelling, or None. Source: genai-prices' own matching within one provider."""
    providers = get_snapshot().providers
    prefix = model.partition("/")[0].lower()
    gateway_provider = provider.lower() if provider else prefix if "/" in model and prefix in _PROVIDERS else None
    if gateway_provider is None:
        try:
            return get_snapshot().find_provider_model(model, None, None, None)[1]
        except LookupError:
            return None
    book_id = _PROVIDERS.get(gateway_provider)
    book_provider = next((item for item in providers if item.id == book_id), None)
    if book_provider is None:
        return None
    for spelling in _spellings(model):
        if (found := book_provider.find_model(spelling, all_providers=providers)) is not None:
            return found
    return None


def _spellings(model: str) -> Iterator[str]:
    """`model` itself, then without the parts before a slash that name a provider, a route or a region."""
    yield model
    head, slash, rest = model.partition("/")
    while slash and (head.lower() in _PROVIDERS or head.lower() in _ROUTES or _REGION.fullmatch(head.lower())):
        yield rest
        head, slash, rest = rest.partition("/")


def _list_prices(provider: str | None, model: str, found: ModelInfo) -> Iterator[dict[str, Any]]:
    book = f"{_BOOK} {version(_BOOK)}"
    if not isinstance(found.prices, ModelPrice) and any(
        isinstance(item.constraint, TimeOfDateConstraint) for item in found.prices
    ):
        book = f"{book} ({_TIME_OF_DAY_NOTE})"
    for valid_from, valid_to, prices in _date_prices(found):
        for token_class, keys in _CLASSES.items():
            price = next((value for key in keys if (value := getattr(prices, key)) is not None), None)
            for tier_start, rate in _list_tiers(price):
                identity = (_BOOK, provider or "", model, token_class, str(tier_start), str(valid_from or ""))
                yield {
                    "price_id": hashlib.sha256("\x1f".join(identity).encode()).hexdigest()[:16],
                    "provider": provider,
                    "model": model,
                    "price_model_id": found.id,
                    "token_class": token_class,
                    "tier_start_tokens": tier_start,
                    "usd_per_mtok": rate.quantize(_RATE_QUANTUM, rounding=ROUND_HALF_UP),
                    "valid_from": valid_from,
                    "valid_to": valid_to,
                    "price_book": book,
                }


def _date_prices(found: ModelInfo) -> Iterator[tuple[date | None, date | None, ModelPrice]]:
    """(valid_from, valid_to, prices) in order. On a day the last entry in force counts, else the first of all."""
    if isinstance(found.prices, ModelPrice):
        yield None, None, found.prices
        return
    entries = [
        (item.constraint.start_date if isinstance(item.constraint, StartDateConstraint) else None, item.prices)
        for item in found.prices
        if not isinstance(item.constraint, TimeOfDateConstraint)
    ]
    starts: list[date | None] = [None, *sorted({start for start, _ in entries if start is not None})]
    intervals: list[tuple[date | None, ModelPrice]] = []
    for start in starts:
        in_force = [prices for begins, prices in entries if begins is None or (start is not None and begins <= start)]
        prices = in_force[-1] if in_force else found.prices[0].prices
        if not intervals or intervals[-1][1] != prices:
            intervals.append((start, prices))
    for index, (start, prices) in enumerate(intervals):
        yield start, intervals[index + 1][0] if index + 1 < len(intervals) else None, prices


def _list_tiers(price: Decimal | TieredPrices | None) -> Iterator[tuple[int, Decimal]]:
    """(input tokens above which the rate holds for the whole request, rate)."""
    if isinstance(price, TieredPrices):
        yield 0, price.base
        yield from ((tier.start, tier.price) for tier in price.tiers)
    elif price is not None:
        yield 0, price
