"""Read catalogues of model prices that the price book is held against; no money is ever computed with them.

Source: LiteLLM's `model_prices_and_context_window.json` (USD per token), Portkey's `pricing/<provider>.json` (US cents
per token) and genai-prices' `data.json` (USD per million tokens), told apart by their content. What a catalogue says of
a class and tier of tokens is a row; batch, flex and priority prices are left out, as are units other than tokens.
A catalogue has no date: it is of the day of its object, or of `as_of`. Landing table: llm_catalogue_prices.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, date
from decimal import ROUND_HALF_UP, Decimal
from pathlib import PurePosixPath
from typing import Any, ClassVar, Final

import msgspec
import pyarrow as pa

from ingest.contracts import LLM_CATALOGUE_PRICES, LandingTable
from ingest.payload import JSON_ERRORS, read_payload
from ingest.reference.gpu_prices import read_as_of
from ingest.reference.llm_prices import GATEWAY_SPELLINGS
from ingest.server_options import check_names
from ingest.source import ObjectRefusedError, OptionProblem, RowSink, ServerKind, SourceObject

_TOKENS: Final = 1_000_000
_CENTS: Final = 100
_RATE_QUANTUM: Final = Decimal(1).scaleb(-9)
_RATE_LIMIT: Final = Decimal(10) ** 9
_DECODER: Final = msgspec.json.Decoder(float_hook=Decimal)
_LITELLM_CLASSES: Final = {
    "input_cost_per_token": "input",
    "output_cost_per_token": "output",
    "cache_read_input_token_cost": "cache_read",
    "cache_creation_input_token_cost": "cache_write_5m",
    "cache_creation_input_token_cost_above_1hr": "cache_write_1h",
    "input_cost_per_audio_token": "input_audio",
    "output_cost_per_audio_token": "output_audio",
}
_LITELLM_TIER: Final = re.compile(r"(.+)_above_(\d+)k_tokens")
_PORTKEY_CLASSES: Final = {
    "request_token": "input",
    "response_token": "output",
    "cache_read_input_token": "cache_read",
    "cache_write_input_token": "cache_write_5m",
    "request_audio_token": "input_audio",
    "response_audio_token": "output_audio",
}
_GENAI_CLASSES: Final = {
    "input_mtok": "input",
    "output_mtok": "output",
    "cache_read_mtok": "cache_read",
    "cache_write_mtok": "cache_write_5m",
    "cache_write_5m_mtok": "cache_write_5m",
    "cache_write_1h_mtok": "cache_write_1h",
    "input_audio_mtok": "input_audio",
    "output_audio_mtok": "output_audio",
}

Price = tuple[str, int, str, Any]
"""(token class, tier of input tokens, the catalogue's own name of the price, USD per million tokens as it says)."""

Entry = tuple[str, str, Callable[[], Iterator[Price]]]
"""(provider, model, its prices)."""


class LlmPriceCatalogue:
    """One row per model, class of tokens and tier that a catalogue prices."""

    kind: ClassVar[str] = "llm_price_catalogue"
    reader_version: ClassVar[int] = 1
    table: ClassVar[LandingTable] = LLM_CATALOGUE_PRICES
    refuses_whole_deliveries: ClassVar[bool] = False
    partition_date_sql: ClassVar[str] = "cast(as_of as date)"
    server: ClassVar[ServerKind | None] = None

    def check_options(self, options: Mapping[str, Any]) -> Iterator[OptionProblem]:
        """`provider`: of Portkey's file, by default the file's name. `as_of`: the catalogue's day."""
        yield from check_names(options, ("provider", "as_of"))
        if not isinstance(options.get("provider", "openai"), str):
            yield OptionProblem("provider", repr(options["provider"]), "a name, such as anthropic")
        try:
            read_as_of(options)
        except ValueError:
            yield OptionProblem("as_of", repr(options["as_of"]), "a day, such as 2026-10-01")

    def read(self, source_object: SourceObject, sink: RowSink) -> None:
        """Write every price of tokens, refuse those that are no numbers by running number of their model.

        Raises `ObjectRefusedError` for what is none of the catalogues.
        """
        as_of = read_as_of(source_object.options) or source_object.modified_at.astimezone(UTC).replace(tzinfo=None)
        catalogue, entries = _open_catalogue(source_object, as_of.date())
        rows: list[dict[str, Any]] = []
        for position, (provider, model, list_prices) in enumerate(entries, 1):
            for token_class, tier_start, name, value in list_prices():
                rate = _round_rate(value)
                if rate is None:
                    reason = f"the price of {model} is no amount of 0 or more USD"
                    sink.refuse_row(position, name, reason, str(value)[:200])
                    continue
                rows.append(
                    {
                        "catalogue": catalogue,
                        "provider": provider,
                        "model": model,
                        "token_class": token_class,
                        "tier_start_tokens": tier_start,
                        "usd_per_mtok": rate,
                        "as_of": as_of,
                        "_position": position,
                    }
                )
        schema = pa.schema([*LLM_CATALOGUE_PRICES.columns, ("_position", pa.int64())])
        sink.write(pa.Table.from_pylist(rows, schema=schema))


def _open_catalogue(source_object: SourceObject, day: date) -> tuple[str, Iterator[Entry]]:
    try:
        document = _DECODER.decode(read_payload(source_object))
    except JSON_ERRORS as error:
        raise ObjectRefusedError(f"not JSON: {error}") from error
    if isinstance(document, list) and all(isinstance(item, dict) and "models" in item for item in document):
        return "genai_prices", _iterate_genai(document, day)
    if isinstance(document, dict):
        models = {name: model for name, model in document.items() if isinstance(model, dict)}
        if any("litellm_provider" in model for model in models.values()):
            return "litellm", _iterate_litellm(models)
        if any("pricing_config" in model for model in models.values()):
            stem = PurePosixPath(source_object.uri).name.partition(".")[0]
            return "portkey", _iterate_portkey(source_object.options.get("provider", stem), models)
    raise ObjectRefusedError(
        "no catalogue of model prices: expected LiteLLM's map (litellm_provider), Portkey's (pricing_config) or the "
        "list of providers of genai-prices (models)"
    )


def _iterate_litellm(models: Mapping[str, Mapping[str, Any]]) -> Iterator[Entry]:
    for name, model in models.items():
        if name == "sample_spec":
            continue  # explains the others
        provider = str(model.get("litellm_provider") or "")

        def list_prices(model: Mapping[str, Any] = model) -> Iterator[Price]:
            for key, value in model.items():
                tiered = _LITELLM_TIER.fullmatch(key)
                base, tier_start = (tiered[1], int(tiered[2]) * 1000) if tiered else (key, 0)
                if (token_class := _LITELLM_CLASSES.get(base)) is not None and value is not None:
                    yield token_class, tier_start, key, _scale(value, _TOKENS)

        yield provider, name.removeprefix(f"{provider}/"), list_prices


def _iterate_portkey(provider: str, models: Mapping[str, Mapping[str, Any]]) -> Iterator[Entry]:
    for name, model in models.items():
        if name == "default":
            continue  # explains the others

        def list_prices(model: Mapping[str, Any] = model) -> Iterator[Price]:
            config = model.get("pricing_config")
            prices = config.get("pay_as_you_go") if isinstance(config, dict) else None
            for key, token_class in _PORTKEY_CLASSES.items():
                stated = prices.get(key) if isinstance(prices, dict) else None
                if isinstance(stated, dict) and stated.get("price") is not None:
                    yield token_class, 0, key, _scale(stated["price"], _TOKENS // _CENTS)

        yield provider, name, list_prices


def _iterate_genai(providers: list[Mapping[str, Any]], day: date) -> Iterator[Entry]:
    for provider in providers:
        for model in provider["models"]:

            def list_prices(model: Mapping[str, Any] = model) -> Iterator[Price]:
                stated = _choose_dated(model.get("prices"), day)
                for key, token_class in _GENAI_CLASSES.items():
                    # A write of cache that is not told apart lives five minutes.
                    if key not in stated or (key == "cache_write_mtok" and "cache_write_5m_mtok" in stated):
                        continue
                    price = stated[key]
                    if not isinstance(price, dict):
                        yield token_class, 0, key, price
                        continue
                    yield token_class, 0, key, price.get("base")
                    for tier in price.get("tiers") or []:
                        yield token_class, tier["start"], key, tier["price"]

            provider_id = str(provider.get("id"))
            yield GATEWAY_SPELLINGS.get(provider_id, provider_id), str(model.get("id")), list_prices


def _choose_dated(prices: Any, day: date) -> Mapping[str, Any]:
    """What holds on the day: the last entry that has begun, prices of some hours of the day left out."""
    if isinstance(prices, dict):
        return prices
    chosen: Mapping[str, Any] = {}
    for item in prices or []:
        constraint = item.get("constraint") or {}
        if "start_time" not in constraint and constraint.get("start_date", "") <= day.isoformat():
            chosen = item["prices"]
    return chosen


def _scale(value: Any, factor: int) -> Any:
    return value * factor if isinstance(value, int | Decimal) and not isinstance(value, bool) else value


def _round_rate(value: Any) -> Decimal | None:
    if not isinstance(value, int | Decimal) or isinstance(value, bool):
        return None
    rate = Decimal(value)
    return rate.quantize(_RATE_QUANTUM, rounding=ROUND_HALF_UP) if 0 <= rate < _RATE_LIMIT else None
