"""Budgets of Google Cloud billing accounts, as gcloud prints them and as the Cloud Billing Budget API answers."""

import json
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from ingest.config import ConfigError, load_sources
from ingest.contracts import DELIVERIES, PROVIDER_BUDGETS, QUARANTINE
from ingest.home import Home
from ingest.kinds import KINDS
from ingest.landing import land
from ingest.reference.gcp_budgets import GcpBudgets
from ingest.source import ObjectRefusedError
from tests.ingest.conftest import MODIFIED_AT, ReadObject
from tests.ingest.landed import check_counts, configure, find, query, write

KIND = GcpBudgets()
NAME = "billingAccounts/012345-6789AB-CDEF01/budgets/0a1b2c3d-0000-4000-8000-000000000001"
MONEY = {"currencyCode": "EUR", "units": "12500", "nanos": 500_000_000}
BUDGET: dict[str, Any] = {
    "name": NAME,
    "displayName": "Training",
    "budgetFilter": {
        "projects": ["projects/123", "projects/456"],
        "resourceAncestors": ["folders/789"],
        "creditTypes": ["COMMITTED_USAGE_DISCOUNT"],
        "creditTypesTreatment": "INCLUDE_SPECIFIED_CREDITS",
        "services": ["services/6F81-5844-456A"],
        "subaccounts": ["billingAccounts/AAAAAA-BBBBBB-CCCCCC"],
        "labels": {"team": {"values": ["search"]}},
        "calendarPeriod": "QUARTER",
    },
    "amount": {"specifiedAmount": MONEY},
    "thresholdRules": [
        {"thresholdPercent": 0.9, "spendBasis": "CURRENT_SPEND"},
        {"thresholdPercent": 1.0, "spendBasis": "FORECASTED_SPEND"},
    ],
    "notificationsRule": {"pubsubTopic": "projects/p/topics/budgets", "schemaVersion": "1.0"},
    "etag": "c9d6c011f6fa6b5c",
    "ownershipScope": "BILLING_ACCOUNT",
}
# Google's own example of an answer, in its page on the API.
EXAMPLE = {
    "name": "billingAccounts/000000-111111-222222/budgets/33333333-4444-5555-6666-777777777777",
    "displayName": "Forecasted spend budget with Service Filter",
    "budgetFilter": {
        "projects": ["projects/123456789"],
        "services": ["services/A1E8-BE35-7EBC"],
        "creditTypesTreatment": "EXCLUDE_ALL_CREDITS",
        "calendarPeriod": "MONTH",
    },
    "amount": {"lastPeriodAmount": {}},
    "thresholdRules": [{"thresholdPercent": 0.9, "spendBasis": "FORECASTED_SPEND"}],
    "allUpdatesRule": {},
    "etag": "c9d6c011f6fa6b5c",
}


def changed(**changes: Any) -> dict[str, Any]:
    return BUDGET | changes


def filtered(**changes: Any) -> dict[str, Any]:
    return changed(budgetFilter={"calendarPeriod": "MONTH"} | changes)


def custom(**days: Any) -> dict[str, Any]:
    return changed(budgetFilter={"customPeriod": days})


def specified(**money: Any) -> dict[str, Any]:
    return changed(amount={"specifiedAmount": money})


def read(read_object: ReadObject, *budgets: Any, **options: Any) -> list[dict[str, Any]]:
    result = read_object(KIND, json.dumps(budgets), **options)
    assert result.refused == []
    return result.rows


def test_a_budget_is_a_row(read_object: ReadObject):
    (row,) = read(read_object, BUDGET)
    assert {name: value for name, value in row.items() if value is not None and name[0] != "_"} == {
        "provider": "gcp",
        "billing_account_id": "012345-6789AB-CDEF01",
        "budget_id": "0a1b2c3d-0000-4000-8000-000000000001",
        "budget_name": "Training",
        "period": "QUARTER",
        "budgeted_amount": Decimal("12500.5"),
        "currency": "EUR",
        "is_last_period_amount": False,
        "credit_treatment": "INCLUDE_SPECIFIED_CREDITS",
        "credit_types": '["COMMITTED_USAGE_DISCOUNT"]',
        "projects": '["projects/123","projects/456"]',
        "resource_ancestors": '["folders/789"]',
        "services": '["services/6F81-5844-456A"]',
        "subaccounts": '["billingAccounts/AAAAAA-BBBBBB-CCCCCC"]',
        "labels": '{"team":["search"]}',
        "threshold_rules": (
            '[{"threshold_share":0.9,"spend_basis":"CURRENT_SPEND"},'
            '{"threshold_share":1.0,"spend_basis":"FORECASTED_SPEND"}]'
        ),
        "as_of": MODIFIED_AT.replace(tzinfo=None),
    }


def test_what_no_column_holds_is_kept_beside_the_row(read_object: ReadObject):
    new = {"spendCap": {"inputState": "CONFIGURED", "limit": 2**70}}
    (row,) = read(read_object, BUDGET | new | {"budgetFilter": {"tags": ["t"]}})
    assert json.loads(row["_extra"]) == {
        **{name: BUDGET[name] for name in ("notificationsRule", "etag", "ownershipScope")},
        **new,
        "budgetFilter": {"tags": ["t"]},
    }


def test_googles_example_has_no_stated_amount(read_object: ReadObject):
    (row,) = read_object(KIND, json.dumps({"budgets": [EXAMPLE]}, indent=2)).rows
    shown = ("is_last_period_amount", "budgeted_amount", "currency", "period", "credit_treatment")
    assert [row[name] for name in shown] == [True, None, None, "MONTH", "EXCLUDE_ALL_CREDITS"]


SECOND = NAME[:-1] + "2"
LAYOUTS: list[Callable[[list[Any]], str]] = [
    lambda budgets: json.dumps(budgets, indent=2),
    lambda budgets: json.dumps({"budgets": budgets}),
    lambda budgets: json.dumps({"budgets": budgets}, indent=2),
    lambda budgets: "\n".join(map(json.dumps, budgets)),
    lambda budgets: "\n".join(
        json.dumps(page) for page in ({"budgets": budgets[:1], "nextPageToken": "t"}, {"budgets": budgets[1:]})
    ),
    lambda budgets: json.dumps([{"budgets": budgets[:1], "nextPageToken": "t"}, {"budgets": budgets[1:]}]),
]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_an_array_pages_and_lines_read_alike(
    layout: Callable[[list[Any]], str], pack: Callable[[str], bytes], read_object: ReadObject
):
    result = read_object(KIND, pack(layout([BUDGET, BUDGET | {"name": SECOND}])))
    assert [(row["budget_id"][-1], row["_position"]) for row in result.rows] == [("1", 1), ("2", 2)]
    assert result.refused == []


@pytest.mark.parametrize("text", ["[]", "{}", '{"budgets": []}', '{"budgets": null}'])
def test_an_account_without_budgets_has_no_rows(text: str, read_object: ReadObject):
    result = read_object(KIND, text)
    assert (result.rows, result.refused) == ([], [])


@pytest.mark.parametrize("token", ["nextPageToken", "next_page_token"])
def test_half_a_listing_is_refused(token: str, read_object: ReadObject):
    with pytest.raises(ObjectRefusedError, match="its last page names another"):
        read_object(KIND, json.dumps({"budgets": [BUDGET], token: "t"}))


def test_the_last_page_ends_with_an_empty_token(read_object: ReadObject):
    assert read_object(KIND, json.dumps({"budgets": [BUDGET], "nextPageToken": ""})).row_count == 1


@pytest.mark.parametrize(
    ("money", "amount"),
    [
        ({"units": "9223372036854775807", "nanos": 999_999_999}, "9223372036854775807.999999999"),
        ({"units": "0", "nanos": 1}, "0.000000001"),
        ({"nanos": 250_000_000}, "0.25"),  # what is 0 is not written
        ({"units": 500}, "500"),
        ({}, "0"),
        ({"units": "-1", "nanos": -750_000_000}, "-1.75"),
        ({"units": None, "nanos": None}, "0"),
    ],
)
def test_an_amount_is_units_and_billionths_to_the_last_place(
    money: dict[str, Any], amount: str, read_object: ReadObject
):
    (row,) = read(read_object, specified(currencyCode="JPY", **money))
    assert (row["budgeted_amount"], row["currency"], row["is_last_period_amount"]) == (Decimal(amount), "JPY", False)


@pytest.mark.parametrize("scope", [None, {}, {"calendarPeriod": "CALENDAR_PERIOD_UNSPECIFIED"}])
def test_a_budget_that_says_little_is_a_months_of_all_that_the_account_pays(scope: Any, read_object: ReadObject):
    (row,) = read(read_object, {"name": NAME, "budgetFilter": scope, "amount": {"specifiedAmount": MONEY}})
    assert (row["period"], row["credit_treatment"]) == ("MONTH", "INCLUDE_ALL_CREDITS")
    nothing = "budget_name projects resource_ancestors services subaccounts labels credit_types threshold_rules _extra"
    assert {row[name] for name in nothing.split()} == {None}


@pytest.mark.parametrize(
    ("end", "expected"), [({"year": 2027, "month": 3, "day": 31}, date(2027, 3, 31)), (None, None)]
)
def test_a_custom_period_has_its_days_and_need_not_end(end: Any, expected: Any, read_object: ReadObject):
    (row,) = read(read_object, custom(startDate={"year": 2026, "month": 10, "day": 15}, endDate=end))
    found = [row[name] for name in ("period", "custom_start_date", "custom_end_date")]
    assert found == ["CUSTOM", date(2026, 10, 15), expected]


@pytest.mark.parametrize(
    "labels", [{"team": {"values": ["a", "b"]}}, {"team": ["a", "b"]}], ids=["as gcloud prints them", "as REST answers"]
)
def test_labels_are_lists_however_they_are_wrapped(labels: Any, read_object: ReadObject):
    (row,) = read(read_object, filtered(labels=labels))
    assert row["labels"] == '{"team":["a","b"]}'


def test_one_value_of_a_label_is_a_list_of_one_and_its_key_is_kept(read_object: ReadObject):
    (row,) = read(read_object, filtered(labels={"cost_center": "x"}))
    assert row["labels"] == '{"cost_center":["x"]}'


def test_a_threshold_counts_what_is_spent_unless_it_says_otherwise(read_object: ReadObject):
    rules = [{"thresholdPercent": 0.5}, {"spendBasis": "BASIS_UNSPECIFIED", "thresholdPercent": 2}, {}]
    (row,) = read(read_object, changed(thresholdRules=rules))
    found = json.loads(row["threshold_rules"])
    assert [rule["threshold_share"] for rule in found] == [0.5, 2, 0]
    assert {rule["spend_basis"] for rule in found} == {"CURRENT_SPEND"}


def test_fields_in_the_protocols_own_spelling_are_the_same(read_object: ReadObject):
    spelled = {
        "name": NAME,
        "display_name": "Training",
        "budget_filter": {"calendar_period": "QUARTER", "credit_types_treatment": "EXCLUDE_ALL_CREDITS"},
        "amount": {"specified_amount": {"currency_code": "EUR", "units": "7"}},
        "threshold_rules": {"threshold_percent": 0.8, "spend_basis": "FORECASTED_SPEND"},
    }
    (row,) = read(read_object, spelled)
    shown = ("budget_name", "period", "credit_treatment", "budgeted_amount", "threshold_rules", "_extra")
    assert [row[name] for name in shown] == [
        "Training",
        "QUARTER",
        "EXCLUDE_ALL_CREDITS",
        Decimal(7),
        '[{"threshold_share":0.8,"spend_basis":"FORECASTED_SPEND"}]',
        None,
    ]


def test_a_listing_is_of_the_day_that_the_source_says(read_object: ReadObject):
    (row,) = read(read_object, BUDGET, as_of="2026-10-01")
    assert row["as_of"] == datetime(2026, 10, 1)


START = {"year": 2026, "month": 10, "day": 1}


@pytest.mark.parametrize(
    ("record", "field", "found"),
    [
        (7, "", "7"),
        ([BUDGET], "", "[{"),
        (changed(name=None), "name", ""),
        (changed(name="budgets/1"), "name", "budgets/1"),
        (changed(name=f"{NAME}/x"), "name", NAME),
        ({"Budgets": []}, "name", ""),
        (changed(displayName=7), "displayName", "7"),
        (changed(budgetFilter="all"), "budgetFilter", "all"),
        (changed(amount=None), "amount", ""),
        (changed(amount={}), "amount", ""),
        (changed(amount=5), "amount", "5"),
        (
            changed(amount={"specifiedAmount": MONEY, "lastPeriodAmount": {}}),
            "amount",
            "lastPeriodAmount, specifiedAmount",
        ),
        (changed(amount={"specifiedAmount": "5 EUR"}), "specifiedAmount", "5 EUR"),
        (specified(units="5"), "currencyCode", ""),
        (specified(units="5", currencyCode="eur"), "currencyCode", "eur"),
        (specified(units="5", currencyCode=5), "currencyCode", "5"),
        (specified(units="5.5", currencyCode="EUR"), "units", "5.5"),
        (specified(units=5.5, currencyCode="EUR"), "units", "5.5"),
        (specified(units=True, currencyCode="EUR"), "units", "True"),
        (specified(units="\u0665", currencyCode="EUR"), "units", "\u0665"),
        (specified(units="9223372036854775808", currencyCode="EUR"), "units", "9223372036854775808"),
        (specified(units="9" * 5_000, currencyCode="EUR"), "units", "9"),
        (specified(nanos=1_000_000_000, currencyCode="EUR"), "nanos", "1000000000"),
        (specified(units="1", nanos=-1, currencyCode="EUR"), "nanos", "1 and -1"),
        (filtered(calendarPeriod="WEEK"), "calendarPeriod", "WEEK"),
        (filtered(calendarPeriod=["MONTH"]), "calendarPeriod", "['MONTH']"),
        (filtered(customPeriod={"startDate": START}), "customPeriod", "MONTH"),
        (custom(endDate=START), "startDate", ""),
        (custom(startDate={"year": 2026, "month": 2, "day": 30}), "startDate", "2026-2-30"),
        (custom(startDate={"year": 2026}), "startDate", "2026-0-0"),
        (custom(startDate={"year": 2026, "month": "May", "day": 1}), "month", "May"),
        (custom(startDate="2026-10-01"), "startDate", "2026-10-01"),
        (custom(startDate=START, endDate=START | {"year": 2025}), "endDate", "2025-10-01"),
        (custom(startDate=START) | {"amount": {"lastPeriodAmount": {}}}, "lastPeriodAmount", ""),
        (filtered(creditTypesTreatment="SOME"), "creditTypesTreatment", "SOME"),
        (filtered(projects="projects/1"), "projects", "projects/1"),
        (filtered(services=[1]), "services", "[1]"),
        (filtered(labels=["team"]), "labels", "['team']"),
        (filtered(labels={"team": [1]}), "labels", "{'team': [1]}"),
        (filtered(labels={"team": {"listValue": []}}), "labels", "{'team'"),
        (changed(thresholdRules=0.9), "thresholdRules", "0.9"),
        (changed(thresholdRules=[0.9]), "thresholdRules", "[Decimal('0.9')]"),
        (changed(thresholdRules=[{"thresholdPercent": "90%"}]), "thresholdPercent", "90%"),
        (changed(thresholdRules=[{"thresholdPercent": -0.1}]), "thresholdPercent", "-0.1"),
        (changed(thresholdRules=[{"thresholdPercent": 10**18}]), "thresholdPercent", "1000000000000000000"),
        (changed(thresholdRules=[{"thresholdPercent": 1, "spendBasis": "GUESS"}]), "spendBasis", "GUESS"),
    ],
)
def test_a_malformed_budget_costs_itself_alone(record: Any, field: str, found: str, read_object: ReadObject):
    result = read_object(KIND, json.dumps({"budgets": [BUDGET, record]}))
    assert result.row_count == 1
    ((position, refused, reason, shown),) = result.refused
    assert (position, refused, shown.startswith(found)) == (2, field, True)
    assert reason and len(shown) <= 200 and bool(shown) == bool(found)


@pytest.mark.parametrize("line", [b"{broken", b'{"name": "\xff"}', b"[" * 5_000, b'"text"', b'{"a": 1e999999999999}'])
def test_a_line_that_is_no_budget_costs_itself_alone(line: bytes, read_object: ReadObject):
    content = b"\n".join([json.dumps(BUDGET).encode(), line, json.dumps(BUDGET | {"name": SECOND}).encode()])
    result = read_object(KIND, content)
    assert [row["_position"] for row in result.rows] == [1, 3]
    assert [position for position, *_ in result.refused] == [2]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "the object is empty"),
        ("[\n{broken", "not one JSON document"),
        ('{"error": {"code": 403, "status": "PERMISSION_DENIED"}}', "an error that the server answered"),
        ('{"budgets": {"name": "x"}}', "expected a list of budgets"),
    ],
)
def test_what_is_no_listing_is_refused(text: str, reason: str, read_object: ReadObject):
    with pytest.raises(ObjectRefusedError, match=reason):
        read_object(KIND, text)


@pytest.mark.parametrize("option", ["as_of: soon", "day: 2026-01-01"])
def test_options_are_judged_when_sources_are_read(home: Home, option: str):
    configure(home, f"{{name: budgets, kind: gcp_budgets, location: budgets/, options: {{{option}}}}}")
    with pytest.raises(ConfigError, match=option.partition(":")[0]):
        load_sources(home, KINDS)


def test_listings_of_two_days_stand_beside_one_another(home: Home):
    configure(home, "{name: budgets, kind: gcp_budgets, location: budgets/}")
    for day, units in ((1, "100"), (5, "120")):
        listing = [specified(currencyCode="EUR", units=units), changed(name=SECOND, amount={})]
        at = int(datetime(2026, 10, day, 8, tzinfo=UTC).timestamp())
        write(home.path / f"budgets/2026-10-0{day}.json", json.dumps(listing), at)
    report = find(land(home, only_sources=["budgets"]), "budgets")
    assert (report.rows_landed, report.rows_quarantined) == (2, 2)
    assert query(home, PROVIDER_BUDGETS, "usage_date, budgeted_amount order by all") == [
        (date(2026, 10, 1), Decimal(100)),
        (date(2026, 10, 5), Decimal(120)),
    ]
    assert query(home, QUARANTINE, "position, field order by all") == [(2, "amount"), (2, "amount")]
    assert query(home, DELIVERIES, "max(data_through_at)") == [(datetime(2026, 10, 5, 8),)]
    check_counts(home, PROVIDER_BUDGETS)
