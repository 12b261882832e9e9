"""The admin APIs of OpenAI and Anthropic, asked over HTTP: a server on loopback answers in the documented shape."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from ingest import retrying
from ingest.config import ConfigError
from ingest.contracts import PROVIDER_RESULTS, QUARANTINE
from ingest.home import Home
from ingest.landing import SourceReport, land
from orchestration.doctor import examine_home
from tests.ingest.landed import check_counts, configure, find, query
from tests.ingest.provider_pages import (
    DAY,
    anthropic_cost,
    anthropic_page,
    anthropic_usage,
    openai_cost,
    openai_page,
    openai_usage,
)
from tests.ingest.scripted_server import Question, Reply, ScriptedServer

SECRET = "sk-admin-secret"


class FakeProvider:
    """Every day one result of usage, and two of costs on two pages."""

    def __init__(self) -> None:
        self.first_cost = "1.25"
        self.server = ScriptedServer(self.answer)
        self.next_pages: dict[str | None, str] = {None: "second"}

    def answer(self, question: Question) -> Reply:
        asked = question.parameters
        page = asked.get("page", [None])[0]
        if "starting_at" in asked:
            day = (datetime.fromisoformat(asked["starting_at"][0]) - DAY).days
            if question.path.endswith("/usage_report/messages"):
                return Reply(anthropic_page(anthropic_usage(), day=day))
            cost = anthropic_cost(self.first_cost if page is None else "98.75")
            return Reply(anthropic_page(cost, day=day, next_page=self.next_pages.get(page)))
        day = (datetime.fromtimestamp(int(asked["start_time"][0]), UTC) - DAY).days
        if question.path.endswith("/usage/completions"):
            return Reply(openai_page(openai_usage(), day=day))
        if question.path.endswith("/usage/embeddings"):
            return Reply(openai_page(day=day))
        cost = openai_cost(self.first_cost if page is None else 0.75)
        return Reply(openai_page(cost, day=day, next_page=self.next_pages.get(page)))


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeProvider]:
    monkeypatch.setattr(retrying, "FIRST_PAUSE_SECONDS", 0.01)
    monkeypatch.setenv("ADMIN_KEY", SECRET)
    api = FakeProvider()
    yield api
    api.server.close()


@pytest.fixture
def land_on(home: Home, api: FakeProvider) -> Any:
    def land_on(day: float, provider: str = "openai") -> SourceReport:
        options = f"since: 2025-06-01, provider: {provider}, token_env: ADMIN_KEY"
        location = f"{api.server.location}/v1"
        configure(home, f'{{name: p, kind: provider_costs, location: "{location}", options: {{{options}}}}}')
        api.server.now = DAY + timedelta(days=day)
        return find(land(home, only_sources=["p"]), "p")

    return land_on


def costs(home: Home) -> list[tuple[Any, ...]]:
    check_counts(home, PROVIDER_RESULTS)
    return query(home, PROVIDER_RESULTS, "usage_date::text, count(*), sum(reported_cost) group by 1 order by 1")


def test_openais_days_land_page_by_page(home: Home, api: FakeProvider, land_on: Any):
    assert land_on(2).deliveries_landed == 2
    assert costs(home) == [("2025-06-01", 3, Decimal(2)), ("2025-06-02", 3, Decimal(2))]
    asked = [item for item in api.server.questions if item.path.startswith("/v1/organization/usage/completions")]
    assert len(asked) == 2
    assert asked[0].parameters["bucket_width"] == ["1d"]
    assert asked[0].parameters["group_by"] == ["project_id", "api_key_id", "model"]
    assert {item.headers["Authorization"] for item in api.server.questions} == {f"Bearer {SECRET}"}


def test_anthropics_days_land_page_by_page(home: Home, api: FakeProvider, land_on: Any):
    assert land_on(2, "anthropic").deliveries_landed == 2
    assert costs(home) == [("2025-06-01", 3, Decimal(1)), ("2025-06-02", 3, Decimal(1))]
    (first, *_) = [item for item in api.server.questions if item.path == "/v1/organizations/cost_report"]
    assert first.parameters["group_by[]"] == ["workspace_id", "description"]
    heads = {(item.headers["x-api-key"], item.headers["anthropic-version"]) for item in api.server.questions}
    assert heads == {(SECRET, "2023-06-01")}
    assert not any("Authorization" in item.headers for item in api.server.questions)


def test_restated_days_replace_what_landed_for_three_days(home: Home, api: FakeProvider, land_on: Any):
    land_on(1)
    api.first_cost = "9.25"
    land_on(3)
    assert costs(home)[0] == ("2025-06-01", 3, Decimal(10))
    land_on(4.5)  # the first day settles
    api.first_cost = "5"
    land_on(5)
    assert costs(home)[0] == ("2025-06-01", 3, Decimal(10))
    assert costs(home)[1] == ("2025-06-02", 3, Decimal("5.75"))


@pytest.mark.parametrize(
    "reply",
    [
        Reply('{"error": {"message": "Rate limit reached"}}', 429, {"Retry-After": "0"}),
        Reply("upstream", 502),
        Reply(openai_page(openai_cost(1)), cut_after_bytes=40),
        Reply("", 200),
    ],
)
def test_what_passes_is_asked_again(home: Home, api: FakeProvider, land_on: Any, reply: Reply):
    api.server.first = [reply, reply]
    assert not land_on(1).is_stale
    assert costs(home) == [("2025-06-01", 3, Decimal(2))]


@pytest.mark.parametrize(
    ("reply", "told"),
    [
        (Reply(f'{{"error": "key {SECRET} has expired"}}', 401), "the credential of token_env is not enough"),
        (Reply('{"error": "Unknown parameter: group_by"}', 400), "Unknown parameter"),
        (Reply('{"object": "list", "models": []}'), "no page of a report"),
        (Reply("", 404), "no such address"),
    ],
)
@pytest.mark.parametrize("provider", ["openai", "anthropic"])
def test_what_does_not_pass_is_told_and_the_source_is_stale(
    home: Home, api: FakeProvider, land_on: Any, provider: str, reply: Reply, told: str
):
    land_on(1, provider)
    api.server.answer = lambda question: reply
    report = land_on(1.5, provider)
    assert report.is_stale
    assert told in " ".join(report.messages)
    assert SECRET not in " ".join([*report.messages, *(finding.text for finding in examine_home(home))])
    assert len(costs(home)) == 1  # what came before stands


@pytest.mark.parametrize(("next_pages", "told"), [({None: "a", "a": "b", "b": "a"}, "asked already")])
def test_pages_that_never_end_are_noticed(home: Home, api: FakeProvider, land_on: Any, next_pages: Any, told: str):
    api.next_pages = next_pages
    report = land_on(1)
    assert report.is_stale
    assert told in " ".join(report.messages)
    assert query(home, PROVIDER_RESULTS, "count(*)") == [(0,)]


def test_a_bucket_that_was_not_asked_for_is_refused(home: Home, api: FakeProvider, land_on: Any):
    api.server.answer = lambda question: Reply(openai_page(openai_cost(1), day=7))
    assert land_on(1).deliveries_refused == 1
    assert "which was asked for" in query(home, QUARANTINE, "reason")[0][0]


def test_a_source_says_which_provider_it_asks(home: Home):
    for option, found in (("", "None"), (", provider: opneai", "opneai")):
        options = f"since: 2025-06-01{option}"
        configure(home, f'{{name: p, kind: provider_costs, location: "https://api.example", options: {{{options}}}}}')
        with pytest.raises(ConfigError, match=rf"options\.provider.*{found}.*openai"):
            land(home)
