"""Usage and cost reports of model providers, saved as files: every token in one class, every amount exact."""

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from ingest.contracts import PROVIDER_RESULTS, QUARANTINE
from ingest.home import Home
from ingest.landing import SourceReport, land
from tests.ingest.landed import check_counts, configure, find, query, write
from tests.ingest.provider_pages import (
    anthropic_cost,
    anthropic_page,
    anthropic_usage,
    openai_cost,
    openai_page,
    openai_usage,
)

COUNTS = (
    "uncached_input_tokens, cache_read_tokens, cache_write_5m_tokens, cache_write_1h_tokens, cache_write_other_tokens, "
    "audio_input_tokens, output_tokens, audio_output_tokens"
)


@pytest.fixture
def land_text(home: Home) -> Any:
    configure(home, "{name: openai, kind: provider_costs, location: reports/}")

    def land_text(text: str | bytes) -> SourceReport:
        write(home.path / "reports/page.json", text)
        report = find(land(home), "openai")
        check_counts(home, PROVIDER_RESULTS)
        return report

    return land_text


def select(home: Home, columns: str) -> list[tuple[Any, ...]]:
    return query(home, PROVIDER_RESULTS, f"{columns} order by _object, _position")


def test_openais_totals_are_split_into_disjoint_classes(home: Home, land_text: Any):
    land_text(
        openai_page(
            openai_usage(),
            openai_usage(
                "embeddings",
                input_tokens=7,
                **dict.fromkeys(
                    (
                        "input_cached_tokens",
                        "input_cache_write_tokens",
                        "input_audio_tokens",
                        "input_cached_audio_tokens",
                        "output_audio_tokens",
                    ),
                    None,
                ),
                output_tokens=0,
            ),
        )
    )
    assert select(home, f"service, {COUNTS}") == [
        ("completions", 500, 400, 0, 0, 100, 0, 450, 50),
        ("embeddings", 7, 0, 0, 0, 0, 0, 0, 0),
    ]
    assert select(home, "provider, report, project_id, model, request_count, usage_date::text")[0] == (
        "openai",
        "usage",
        "proj_a",
        "gpt-4o",
        5,
        "2025-06-01",
    )


def test_anthropics_classes_are_disjoint_already(home: Home, land_text: Any):
    land_text(anthropic_page(anthropic_usage()))
    assert select(home, COUNTS) == [(1500, 200, 500, 1000, 0, 0, 300, 0)]
    assert select(home, "provider, service, is_batch, context_window, web_search_request_count") == [
        ("anthropic", "messages", True, "0-200k", 10)
    ]


@pytest.mark.parametrize(
    ("page", "expected"),
    [
        (openai_page(openai_cost(0.1), openai_cost("2.000000000000000001")), "2.100000000000000001"),
        (openai_page(openai_cost(-3.25)), "-3.25"),
        # Cents as text: 123.78912 of them are 1.2378912 USD.
        (anthropic_page(anthropic_cost("123.78912"), anthropic_cost("0.0000001")), "1.237891201"),
    ],
)
def test_amounts_are_exact(home: Home, land_text: Any, page: str, expected: str):
    land_text(page)
    assert query(home, PROVIDER_RESULTS, "sum(reported_cost), any_value(currency)") == [(Decimal(expected), "USD")]


def test_several_pages_may_stand_in_one_file(home: Home, land_text: Any):
    second = json.dumps(json.loads(openai_page(openai_cost(2), day=1)), indent=1)
    assert land_text(f"\ufeff {openai_page(openai_cost(1))}\n\n{second}\n").rows_landed == 2
    assert [day for (day,) in select(home, "usage_date::text")] == ["2025-06-01", "2025-06-02"]


def test_a_day_without_use_is_no_row_and_no_fault(home: Home, land_text: Any):
    report = land_text(openai_page())
    assert (report.deliveries_landed, report.rows_read) == (1, 0)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "empty"),
        ("{", "not JSON"),
        ("[]", "expected a page"),
        ('{"error": {"message": "Incorrect API key"}}', "missing required field `data`"),
        ('{"data": [{"results": []}]}', "does not say its time"),
        ('{"data": [{"starting_at": "2025-06-01T00:00:00", "results": []}]}', "does not say its time"),
        (openai_page(openai_cost(1), hours=48), "not inside one day of UTC"),
        (openai_page(openai_cost(1), hours=-1), "not inside one day of UTC"),
        (b"\xff\xfe", "not UTF-8"),
    ],
)
def test_what_is_no_report_is_refused_whole(home: Home, land_text: Any, text: str | bytes, reason: str):
    assert land_text(text).deliveries_refused == 1
    assert reason in query(home, QUARANTINE, "reason")[0][0]


@pytest.mark.parametrize(
    ("result", "reason"),
    [
        (openai_usage(input_tokens="many"), "Expected `int`"),
        (openai_usage(input_tokens=10), "uncached_input_tokens comes to -490"),
        (openai_usage(output_tokens=-1), "its parts are more than the whole"),
        (openai_cost("much"), "Invalid decimal"),
        (openai_cost("NaN"), "not an amount of money"),
        (anthropic_cost("1e40"), "not an amount of money"),
        ({"object": "organization.costs.result"}, "missing required field `amount`"),
        ({"object": "organization.audit_log"}, "no result of OpenAI's or Anthropic's"),
        ({}, "no result of OpenAI's or Anthropic's"),
    ],
)
def test_a_bad_result_is_refused_alone(home: Home, land_text: Any, result: dict[str, Any], reason: str):
    report = land_text(openai_page(result, openai_cost(1)))
    assert (report.rows_landed, report.rows_quarantined) == (1, 1)
    ((position, told),) = query(home, QUARANTINE, "position, reason")
    assert (position, reason in told) == (1, True), told


def test_openais_own_examples_land(home: Home, shared_data: Path):
    examples = shared_data / "llm_provider_usage_api_examples"
    for name in ("openai_costs", "openai_usage_completions"):
        write(home.path / f"reports/{name}.json", (examples / f"{name}.json").read_bytes())
    configure(home, "{name: openai, kind: provider_costs, location: reports/}")
    assert not land(home).has_refusals
    raw = json.loads((examples / "openai_usage_completions.json").read_text())["data"][0]["results"][0]
    (counted,) = query(
        home,
        PROVIDER_RESULTS,
        "sum(uncached_input_tokens + cache_read_tokens + cache_write_other_tokens "
        "+ audio_input_tokens + image_input_tokens), sum(output_tokens + audio_output_tokens + image_output_tokens), "
        "sum(reported_cost), sum(request_count)",
    )
    assert counted == (raw["input_tokens"], raw["output_tokens"], Decimal("0.06"), 5)
