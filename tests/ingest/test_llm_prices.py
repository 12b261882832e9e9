"""The price book: gateway spellings to list prices, dated and tiered, against the library's own arithmetic."""

from collections import defaultdict
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from genai_prices import Usage
from genai_prices.data_snapshot import get_snapshot
from genai_prices.types import ConditionalPrice, ModelInfo, ModelPrice, TimeOfDateConstraint

from ingest.contracts import LLM_PRICES
from ingest.reference import llm_prices
from ingest.reference.llm_prices import find_model, gateway_pairs, price_book
from ingest.tokens.litellm import Litellm

SONNET = "anthropic.claude-3-5-sonnet-20240620-v1:0"


def read_rates(provider: str | None, model: str, on: date, input_tokens: int = 0) -> dict[str, Decimal]:
    """Rates by class on a day for a request of that many input tokens, as a consumer of the table picks them."""
    rates: dict[str, tuple[int, Decimal]] = {}
    for row in price_book([(provider, model)]).to_pylist():
        is_valid = (row["valid_from"] or date.min) <= on < (row["valid_to"] or date.max)
        is_reached = row["tier_start_tokens"] == 0 or input_tokens > row["tier_start_tokens"]
        if is_valid and is_reached and row["tier_start_tokens"] >= rates.get(row["token_class"], (0, Decimal()))[0]:
            rates[row["token_class"]] = (row["tier_start_tokens"], row["usd_per_mtok"])
    return {token_class: rate for token_class, (_, rate) in rates.items()}


def test_rates_are_the_ones_published_for_a_known_model():
    rates = read_rates("openai", "gpt-4o", date(2026, 5, 4))
    assert (rates["input"], rates["cache_read"], rates["output"]) == (Decimal("2.5"), Decimal("1.25"), Decimal(10))


@pytest.mark.parametrize(
    ("provider", "model", "expected"),
    [
        ("openai", "gpt-4o", "gpt-4o"),
        ("openai", "openai/gpt-4o", "gpt-4o"),
        (None, "openai/gpt-4o", "gpt-4o"),
        (None, "gpt-4o", "gpt-4o"),
        ("azure", "azure/gpt-4o-mini", "gpt-4o-mini"),
        ("azure", "azure/eu/gpt-4o-mini", "gpt-4o-mini"),
        ("bedrock", f"bedrock/{SONNET}", f"regional.{SONNET}"),
        ("bedrock", f"bedrock/us-east-1/{SONNET}", f"regional.{SONNET}"),
        ("bedrock_converse", f"bedrock/converse/{SONNET}", f"regional.{SONNET}"),
        ("bedrock", SONNET, f"regional.{SONNET}"),
        ("gemini", "gemini/gemini-2.5-flash", "gemini-2.5-flash"),
        ("vertex_ai", "vertex_ai/gemini-2.5-flash", "gemini-2.5-flash"),
        ("vertex_ai", "claude-sonnet-4@20250514", "claude-4-sonnet"),
        ("anthropic", "claude-sonnet-4-20250514", "claude-sonnet-4-0"),
        ("hosted_vllm", "meta-llama/Llama-3.1-70B-Instruct", None),
        ("ollama", "llama3", None),
        ("custom_openai", "gpt-4o", None),
        ("openai_like", "gpt-4o", None),
        ("azure", "our-deployment", None),
        (None, "our-model", None),
        ("", "", None),
    ],
)
def test_gateway_spellings_find_the_books_model(provider: str | None, model: str, expected: str | None):
    found = find_model(provider, model)
    assert (None if found is None else found.id) == expected
    rows = price_book([(provider, model)]).to_pylist()
    assert {(row["provider"], row["model"], row["price_model_id"]) for row in rows} == (
        set() if expected is None else {(provider, model, expected)}
    )


@pytest.mark.parametrize(
    ("provider", "model", "book_provider"),
    [
        ("openai", "gpt-4o", "openai"),
        ("openai", "o3", "openai"),
        ("anthropic", "claude-sonnet-4-20250514", "anthropic"),
        ("bedrock", f"bedrock/{SONNET}", "aws"),
        ("gemini", "gemini-2.5-pro", "google"),
        ("gemini", "gemini-2.5-flash", "google"),
    ],
)
@pytest.mark.parametrize("at", [datetime(2025, 1, 15, 3, tzinfo=UTC), datetime(2026, 9, 15, 20, tzinfo=UTC)])
@pytest.mark.parametrize("input_tokens", [10_000, 200_000, 200_001, 900_000])
def test_pricing_by_the_table_equals_the_librarys_own_figure(
    provider: str, model: str, book_provider: str, at: datetime, input_tokens: int
):
    tokens = {"cache_read": 3_000, "cache_write_5m": 2_000, "cache_write_1h": 1_000, "output": 700}
    tokens["input"] = input_tokens - sum(tokens[name] for name in ("cache_read", "cache_write_5m", "cache_write_1h"))
    usage = Usage(
        input_tokens=input_tokens,
        cache_read_tokens=tokens["cache_read"],
        cache_write_tokens=tokens["cache_write_5m"] + tokens["cache_write_1h"],
        cache_write_1h_tokens=tokens["cache_write_1h"],
        output_tokens=tokens["output"],
    )
    name = model.removeprefix("bedrock/")
    expected = get_snapshot().calc(usage, name, book_provider, None, at).total_price
    rates = read_rates(provider, model, at.date(), input_tokens)
    assert sum(count * rates[token_class] for token_class, count in tokens.items()) / 1_000_000 == expected


def test_dated_prices_follow_each_other_without_gap_or_overlap():
    pairs = [("openai", "o3"), ("openai", "gpt-4o"), ("deepseek", "deepseek-v4-flash"), ("gemini", "gemini-2.5-pro")]
    periods = defaultdict(list)
    for row in price_book(pairs).to_pylist():
        key = (row["provider"], row["model"], row["token_class"], row["tier_start_tokens"])
        periods[key].append((row["valid_from"], row["valid_to"]))
    for spans in periods.values():
        assert (spans[0][0], spans[-1][1]) == (None, None)
        assert [end for _, end in spans[:-1]] == [start for start, _ in spans[1:]]
    assert periods["openai", "o3", "input", 0] == [(None, date(2025, 6, 10)), (date(2025, 6, 10), None)]
    assert read_rates("openai", "o3", date(2025, 6, 9))["input"] == 10
    assert read_rates("openai", "o3", date(2025, 6, 10))["input"] == 2


def test_a_tier_reprices_the_whole_request():
    below = read_rates("gemini", "gemini-2.5-pro", date(2026, 5, 4), 200_000)["input"]
    above = read_rates("gemini", "gemini-2.5-pro", date(2026, 5, 4), 200_001)["input"]
    assert (below, above) == (Decimal("1.25"), Decimal("2.5"))


def test_time_of_day_prices_are_left_out_and_said_so():
    rows = price_book([("deepseek", "deepseek-chat"), ("openai", "gpt-4o")]).to_pylist()
    books = {row["model"]: row["price_book"] for row in rows}
    assert books["deepseek-chat"].endswith("(time-of-day prices left out)")
    assert not books["gpt-4o"].endswith(")")


def test_the_first_price_counts_where_no_entry_is_in_force():
    always, nightly = ModelPrice(input_mtok=Decimal(1)), ModelPrice(input_mtok=Decimal(2))
    night = TimeOfDateConstraint(start_time=datetime.min.time(), end_time=datetime.min.time().replace(hour=6))
    template = find_model("openai", "gpt-4o")
    assert template is not None
    model = ModelInfo(
        id="m",
        match=template.match,
        prices=[ConditionalPrice(night, prices=nightly), ConditionalPrice(night, prices=always)],
    )
    assert list(llm_prices._date_prices(model)) == [(None, None, nightly)]


def test_the_book_is_the_same_however_often_and_in_what_order_it_is_made():
    pairs: list[tuple[str | None, str]] = [("openai", "gpt-4o"), ("gemini", "gemini-2.5-flash"), (None, "gpt-4o")]
    book = price_book(pairs)
    assert book.equals(price_book([*reversed(pairs), *pairs]))
    assert book.schema.equals(pa.schema(LLM_PRICES.columns))
    ids = book.column("price_id").to_pylist()
    assert len(set(ids)) == len(ids) == book.num_rows


def test_no_calls_make_an_empty_book():
    book = price_book(gateway_pairs([]))
    assert (book.num_rows, book.schema.names) == (0, [name for name, _ in LLM_PRICES.columns])


def test_the_pairs_of_the_real_logs_are_priced_but_for_the_self_hosted_one(
    shared_data: Path, read_object: Any, tmp_path: Path
):
    folder = shared_data / "litellm_generated_logs"
    files = []
    for name in ("standard_logging_payload", "spend_logs"):
        (batch,) = read_object(Litellm(), folder / f"{name}.jsonl.gz").batches
        files.append(tmp_path / "usage_date=2026-05-04" / f"{name}.parquet")
        files[-1].parent.mkdir(exist_ok=True)
        pq.write_table(batch, files[-1])
    pairs = gateway_pairs(files)
    assert len(pairs) == 6
    priced = {(row["provider"], row["model"]) for row in price_book(pairs).to_pylist()}
    assert pairs - priced == {("hosted_vllm", "meta-llama/Llama-3.1-70B-Instruct")}
