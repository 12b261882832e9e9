"""Catalogues of model prices, each by its content, become USD per million tokens of a class and tier."""

import gzip
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from ingest.config import ConfigError, load_sources
from ingest.contracts import LLM_CATALOGUE_PRICES, QUARANTINE
from ingest.home import Home
from ingest.kinds import KINDS
from ingest.landing import land
from ingest.reference.llm_price_catalogue import LlmPriceCatalogue
from ingest.source import ObjectRefusedError
from tests.ingest.conftest import MODIFIED_AT, ReadObject
from tests.ingest.landed import check_counts, configure, find, query, write

KIND = LlmPriceCatalogue()
PORTKEY = ("anthropic", "deepseek", "groq")
GPT = {"litellm_provider": "openai", "input_cost_per_token": 2.5e-06, "output_cost_per_token": 1e-05}


def read(read_object: ReadObject, document: Any, **options: Any) -> Any:
    return read_object(KIND, document if isinstance(document, str) else json.dumps(document), **options)


def shown(rows: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    names = ("provider", "model", "token_class", "tier_start_tokens", "usd_per_mtok")
    return [tuple(row[name] for name in names) for row in rows]


def test_prices_a_token_become_prices_a_million_and_tiers_stand_apart(read_object: ReadObject):
    model = GPT | {
        "cache_creation_input_token_cost": 1.7500000000000001e-06,
        "cache_creation_input_token_cost_above_1hr": 3e-06,
        "input_cost_per_token_above_200k_tokens": 5e-06,
        "input_cost_per_token_batches": 1.25e-06,
        "input_cost_per_token_above_200k_tokens_batches": 2.5e-06,
        "cache_read_input_token_cost": None,
        "input_cost_per_image": 0.1,
    }
    result = read(read_object, {"sample_spec": GPT, "openai/gpt-x": model})
    assert shown(result.rows) == [
        ("openai", "gpt-x", "input", 0, Decimal("2.5")),
        ("openai", "gpt-x", "output", 0, Decimal("10")),
        ("openai", "gpt-x", "cache_write_5m", 0, Decimal("1.75")),
        ("openai", "gpt-x", "cache_write_1h", 0, Decimal("3")),
        ("openai", "gpt-x", "input", 200_000, Decimal("5")),
    ]
    assert {row["as_of"] for row in result.rows} == {MODIFIED_AT.replace(tzinfo=None)}


def test_portkeys_prices_are_cents_a_token(read_object: ReadObject):
    prices = {"request_token": {"price": 0.0003}, "response_token": {"price": 0.0015}, "image": {"price": 1}}
    document = {"default": {}, "claude": {"pricing_config": {"pay_as_you_go": prices}}, "bare": {"pricing_config": {}}}
    result = read(read_object, document, provider="anthropic")
    assert shown(result.rows) == [
        ("anthropic", "claude", "input", 0, Decimal("3")),
        ("anthropic", "claude", "output", 0, Decimal("15")),
    ]


def test_of_dated_prices_those_of_the_catalogues_day_hold(read_object: ReadObject):
    dated = [
        {"prices": {"input_mtok": 2, "cache_write_mtok": 2.5}},
        {"constraint": {"start_date": "2026-09-01"}, "prices": {"input_mtok": {"base": 3, "tiers": []}}},
        {"constraint": {"start_time": "16:00:00Z", "end_time": "20:00:00Z"}, "prices": {"input_mtok": 1}},
    ]
    tiered = {"input_mtok": {"base": 1.25, "tiers": [{"start": 200000, "price": 2.5}]}}
    document = [{"id": "google", "models": [{"id": "a", "prices": dated}, {"id": "b", "prices": tiered}]}]
    before = shown(read(read_object, document, as_of="2026-08-31").rows)
    assert before[:2] == [
        ("gemini", "a", "input", 0, Decimal(2)),
        ("gemini", "a", "cache_write_5m", 0, Decimal("2.5")),
    ]
    assert shown(read(read_object, document, as_of="2026-09-01").rows) == [
        ("gemini", "a", "input", 0, Decimal(3)),
        ("gemini", "b", "input", 0, Decimal("1.25")),
        ("gemini", "b", "input", 200_000, Decimal("2.5")),
    ]


def test_what_is_no_price_costs_itself_alone(home: Home):
    bad = GPT | {"cache_read_input_token_cost": "1e-7", "input_cost_per_audio_token": -1, "output_cost_per_token": True}
    write(home.path / "map.json", json.dumps({"gpt": GPT, "bad": bad}))
    configure(home, "{name: map, kind: llm_price_catalogue, location: map.json, options: {as_of: 2026-10-01}}")
    report = find(land(home, only_sources=["map"]), "map")
    assert (report.rows_landed, report.rows_quarantined) == (3, 3)
    check_counts(home, LLM_CATALOGUE_PRICES)
    assert query(home, QUARANTINE, "position, field order by field") == [
        (2, "cache_read_input_token_cost"),
        (2, "input_cost_per_audio_token"),
        (2, "output_cost_per_token"),
    ]


@pytest.mark.parametrize("document", ["{}", "[]x", '{"a": {"price": 1}}', "3", '[{"id": "openai"}]'])
def test_what_is_no_catalogue_is_refused(read_object: ReadObject, document: str):
    with pytest.raises(ObjectRefusedError, match=r"no catalogue of model prices|not JSON"):
        read(read_object, document)


@pytest.mark.parametrize("options", ["{as_of: soon}", "{provider: 3}", "{currency: EUR}"])
def test_options_are_judged_when_they_are_read(home: Home, options: str):
    configure(home, f"{{name: map, kind: llm_price_catalogue, location: map.json, options: {options}}}")
    with pytest.raises(ConfigError):
        load_sources(home, KINDS)


def test_the_real_catalogues_land_with_the_sums_of_their_files(home: Home, shared_data: Path):
    folder = shared_data / "llm_price_catalogs"
    configure(
        home,
        f"{{name: litellm, kind: llm_price_catalogue, location: '{folder}/litellm_*.json.gz'}}",
        *(
            f"{{name: {name}, kind: llm_price_catalogue, location: '{folder}/portkey_{name}.json', "
            f"options: {{provider: {name}}}}}"
            for name in PORTKEY
        ),
        f"{{name: genai, kind: llm_price_catalogue, location: '{folder}/genai_*.json.gz', "
        "options: {as_of: 2026-10-15}}",
    )
    reports = {report.source_name: report for report in land(home).sources}
    assert not any(reports[name].rows_quarantined for name in ("litellm", "genai", *PORTKEY))
    found = query(
        home,
        LLM_CATALOGUE_PRICES,
        "_source, count(*), sum(usd_per_mtok) where token_class = 'input' and tier_start_tokens = 0 "
        "group by all order by all",
    )
    assert found == sorted(
        [
            ("litellm", *add_up(plain_litellm(folder / "litellm_model_prices_1.109.1.json.gz"))),
            ("genai", *add_up(plain_genai(folder / "genai_prices_data_v1.json.gz"))),
            *((name, *add_up(plain_portkey(folder / f"portkey_{name}.json"))) for name in PORTKEY),
        ]
    )


def add_up(rates: list[Decimal]) -> tuple[int, Decimal]:
    return len(rates), sum((rate.quantize(Decimal("1e-9")) for rate in rates), Decimal(0))


def plain_litellm(path: Path) -> list[Decimal]:
    document = json.loads(gzip.decompress(path.read_bytes()), parse_float=Decimal)
    del document["sample_spec"]
    return [Decimal(m["input_cost_per_token"]) * 10**6 for m in document.values() if "input_cost_per_token" in m]


def plain_portkey(path: Path) -> list[Decimal]:
    document = json.loads(path.read_text(), parse_float=Decimal)
    del document["default"]
    stated = [m["pricing_config"]["pay_as_you_go"] for m in document.values() if "pricing_config" in m]
    return [Decimal(prices["request_token"]["price"]) * 10**4 for prices in stated if "request_token" in prices]


def plain_genai(path: Path) -> list[Decimal]:
    """Every dated list of the file has begun by 2026-10-15, or begins with the price of that day."""
    rates = []
    for provider in json.loads(gzip.decompress(path.read_bytes()), parse_float=Decimal):
        for model in provider["models"]:
            prices = model["prices"]
            if isinstance(prices, list):
                begun = [
                    item["prices"]
                    for item in prices
                    if "start_time" not in (item.get("constraint") or {})
                    and (item.get("constraint") or {}).get("start_date", "") <= "2026-10-15"
                ]
                prices = begun[-1]
            if (rate := prices.get("input_mtok")) is not None:
                rates.append(Decimal(rate["base"] if isinstance(rate, dict) else rate))
    return rates
