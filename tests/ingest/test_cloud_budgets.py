"""The Cloud Billing Budget API, asked with Google's own client of a gRPC server on loopback."""

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import grpc
import pytest
from google.cloud.billing import budgets_v1

from ingest.contracts import PROVIDER_BUDGETS
from ingest.home import Home
from ingest.http_client import ServerError
from ingest.landing import SourceReport, land
from ingest.reference import cloud_budgets
from ingest.reference.cloud_budgets import CloudBudgets
from tests.ingest.grpc_server import ScriptedGrpc, fail
from tests.ingest.landed import check_counts, configure, find, query

ACCOUNT = "billingAccounts/012345-567890-ABCDEF"
NOW = datetime(2026, 10, 5, 6, tzinfo=UTC)


def budget(budget_id: str, **fields: Any) -> budgets_v1.Budget:
    amount = {"specified_amount": {"currency_code": "USD", "units": 5_000, "nanos": 250_000_000}}
    plain = {"name": f"{ACCOUNT}/budgets/{budget_id}", "display_name": f"Budget {budget_id}", "amount": amount}
    return budgets_v1.Budget(plain | fields)


def listing(*budgets: budgets_v1.Budget, token: str = "") -> Callable[..., budgets_v1.ListBudgetsResponse]:
    return lambda request, context: budgets_v1.ListBudgetsResponse(budgets=budgets, next_page_token=token)


FIRST = budget(
    "a",
    budget_filter={
        "projects": ["projects/1"],
        "labels": {"team": ["search"]},
        "calendar_period": "QUARTER",
        "credit_types_treatment": "EXCLUDE_ALL_CREDITS",
    },
    threshold_rules=[{"threshold_percent": 0.5, "spend_basis": "FORECASTED_SPEND"}],
)
SECOND = budget("b", amount={"last_period_amount": {}})


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Iterator[ScriptedGrpc]:
    quick = cloud_budgets.RETRY.with_delay(initial=0.01, maximum=0.02, multiplier=1).with_timeout(0.5)
    monkeypatch.setattr(cloud_budgets, "RETRY", quick)
    monkeypatch.setattr(CloudBudgets, "read_clock", lambda _: NOW)
    service = ScriptedGrpc(
        "google.cloud.billing.budgets.v1.BudgetService/ListBudgets",
        budgets_v1.ListBudgetsRequest,
        budgets_v1.ListBudgetsResponse,
        listing(FIRST, SECOND),
    )
    yield service
    service.server.stop(None)


@pytest.fixture
def land_budgets(home: Home, service: ScriptedGrpc) -> Callable[[], SourceReport]:
    configure(
        home,
        f'{{name: budgets, kind: gcp_budgets, location: "billingbudgets://{ACCOUNT}", options: {{'
        f'since: 2026-10-02, endpoint_url: "http://127.0.0.1:{service.port}"}}}}',
    )
    return lambda: find(land(home, only_sources=["budgets"]), "budgets")


def test_budgets_land_page_by_page_as_of_the_day_they_were_asked_for(
    home: Home, service: ScriptedGrpc, land_budgets: Callable[[], SourceReport]
):
    service.script = [listing(FIRST, token="2"), listing(SECOND)]
    report = land_budgets()
    assert not report.is_stale, report.messages
    assert [(asked.parent, asked.page_size, asked.page_token) for asked in service.asked] == [
        (ACCOUNT, 100, ""),
        (ACCOUNT, 100, "2"),
    ]
    found = query(
        home,
        PROVIDER_BUDGETS,
        "budget_id, budget_name, period, budgeted_amount, currency, is_last_period_amount, credit_treatment, projects, "
        "labels, threshold_rules order by all",
    )
    assert found == [
        (
            "a",
            "Budget a",
            "QUARTER",
            Decimal("5000.25"),
            "USD",
            False,
            "EXCLUDE_ALL_CREDITS",
            '["projects/1"]',
            '{"team":["search"]}',
            '[{"threshold_share":0.5,"spend_basis":"FORECASTED_SPEND"}]',
        ),
        ("b", "Budget b", "MONTH", None, None, True, "INCLUDE_ALL_CREDITS", None, None, None),
    ]
    # What stood on days that nobody asked on is not known.
    assert query(home, PROVIDER_BUDGETS, "distinct usage_date") == [(NOW.date(),)]
    check_counts(home, PROVIDER_BUDGETS)


def test_a_day_keeps_what_was_listed_on_it_first(
    home: Home, service: ScriptedGrpc, land_budgets: Callable[[], SourceReport], monkeypatch: pytest.MonkeyPatch
):
    land_budgets()
    service.script = [listing(SECOND)]
    land_budgets()
    assert len(service.asked) == 1, "asked once a day"
    monkeypatch.setattr(CloudBudgets, "read_clock", lambda _: NOW + timedelta(days=1))
    report = land_budgets()
    assert not report.is_stale and not report.deliveries_refused
    listed = query(home, PROVIDER_BUDGETS, "usage_date, budget_id order by all")
    assert listed == [(date(2026, 10, 5), "a"), (date(2026, 10, 5), "b"), (date(2026, 10, 6), "b")]
    check_counts(home, PROVIDER_BUDGETS)


def test_an_account_without_budgets_lands_nothing(
    home: Home, service: ScriptedGrpc, land_budgets: Callable[[], SourceReport]
):
    service.script = [listing()]
    report = land_budgets()
    assert not report.is_stale and not report.deliveries_refused
    assert query(home, PROVIDER_BUDGETS, "count(*)") == [(0,)]


@pytest.mark.parametrize(
    "code", [grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.INTERNAL]
)
def test_a_service_that_fails_for_a_moment_is_asked_again(
    code: grpc.StatusCode, home: Home, service: ScriptedGrpc, land_budgets: Callable[[], SourceReport]
):
    service.script = [fail(code), fail(code)]
    assert not land_budgets().is_stale
    assert len(service.asked) == 3
    assert query(home, PROVIDER_BUDGETS, "count(*)") == [(2,)]


@pytest.mark.parametrize(
    ("code", "told"),
    [
        (grpc.StatusCode.UNAUTHENTICATED, "gcloud auth application-default login"),
        (grpc.StatusCode.PERMISSION_DENIED, "GOOGLE_APPLICATION_CREDENTIALS"),
        (grpc.StatusCode.NOT_FOUND, "Correct the billing account's id"),
        (grpc.StatusCode.INVALID_ARGUMENT, "Correct the billing account's id"),
        (grpc.StatusCode.UNAVAILABLE, "the next run goes on"),
    ],
)
def test_a_service_that_goes_on_failing_marks_its_source_stale(
    code: grpc.StatusCode, told: str, home: Home, service: ScriptedGrpc, land_budgets: Callable[[], SourceReport]
):
    service.script = [fail(code)] * 200
    report = land_budgets()
    assert report.is_stale and told in report.messages[-1]
    service.script = []
    assert not land_budgets().is_stale
    assert query(home, PROVIDER_BUDGETS, "count(*)") == [(2,)], "the day is asked again"


def test_pages_without_an_end_are_left(home: Home, service: ScriptedGrpc, land_budgets: Callable[[], SourceReport]):
    service.script = [listing(FIRST, token="again")] * 50
    report = land_budgets()
    assert report.is_stale and "its pages have no end" in report.messages[-1]
    assert len(service.asked) < 5
    assert query(home, PROVIDER_BUDGETS, "count(*)") == [(0,)], "half a listing is none"


def test_what_answers_is_told_by_one_question(service: ScriptedGrpc):
    budgets = CloudBudgets(f"billingbudgets://{ACCOUNT}", {"endpoint_url": f"http://127.0.0.1:{service.port}"})
    service.script = [listing(FIRST), listing()]
    assert budgets.check() == f"budgets of {ACCOUNT}, such as Budget a"
    assert budgets.check() == f"budgets of {ACCOUNT}: none"
    assert [asked.page_size for asked in service.asked] == [1, 1]
    budgets.close()


@pytest.mark.parametrize("location", ["billingbudgets://billingAccounts", "billingbudgets://projects/1"])
def test_a_location_names_one_billing_account(location: str):
    with pytest.raises(ServerError, match="expected billingbudgets://billingAccounts/"):
        CloudBudgets(location, {})
