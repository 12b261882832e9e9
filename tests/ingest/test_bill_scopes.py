"""Exports of several parts of one billing account: side by side when they say so, else the newer counts and is told."""

from decimal import Decimal

import pytest

from ingest.acceptances import accept_source
from ingest.config import ConfigError
from ingest.contracts import AWS_CUR_LINE_ITEMS, DELIVERIES
from ingest.home import Home
from ingest.landing import count_changes, land
from orchestration.doctor import examine_home
from tests.ingest.aws_reports import line, report
from tests.ingest.landed import check_counts, configure, find, query, write

ROBOTS = "{name: robots, kind: aws_cur, location: robots/%s}"
VISION = "{name: vision, kind: aws_cur, location: vision/%s}"
SCOPED = ", options: {scope: %s}"


@pytest.fixture(autouse=True)
def members(home: Home) -> None:
    """Reports of two member accounts of one payer; that of vision is the newer one."""
    for folder, account, cost, at in (("robots", "111", "5", 1000), ("vision", "222", "7", 2000)):
        row = line(line_item_usage_account_id=account, line_item_unblended_cost=cost)
        write(home.path / folder / "report.csv", report(row), at)


def unblended(home: Home) -> Decimal:
    check_counts(home, AWS_CUR_LINE_ITEMS)
    return query(home, AWS_CUR_LINE_ITEMS, "sum(line_item_unblended_cost)")[0][0]


def land_both(home: Home, robots: str = "", vision: str = "", *, is_vision_first: bool = False) -> Decimal:
    sources = [ROBOTS % (SCOPED % robots if robots else ""), VISION % (SCOPED % vision if vision else "")]
    configure(home, *sources[:: -1 if is_vision_first else 1])
    report = land(home)
    for source in report.sources:
        if source.deliveries_refused:
            accept_source(home, source.source_name, "one report counts")
    if report.has_refusals:
        assert not land(home).has_refusals
    assert set(count_changes(home).values()) == {0}
    return unblended(home)


@pytest.mark.parametrize("is_vision_first", [False, True])
def test_without_a_scope_what_stands_counts_and_what_the_other_has_is_told(home: Home, is_vision_first: bool):
    sources = [ROBOTS % "", VISION % ""]
    configure(home, *sources[:: -1 if is_vision_first else 1])
    report = find(land(home), "robots" if is_vision_first else "vision")
    assert report.deliveries_refused == 1
    assert "1 sub account(s) (111), 5 USD; 7 USD instead of 5 USD" in report.messages[0]
    assert "options.scope" in report.messages[0]
    assert unblended(home) == Decimal(7 if is_vision_first else 5)
    assert any("options.scope" in finding.text for finding in examine_home(home))


@pytest.mark.parametrize("is_vision_first", [False, True])
def test_without_a_scope_the_newer_counts_once_that_is_accepted(home: Home, is_vision_first: bool):
    assert land_both(home, is_vision_first=is_vision_first) == Decimal(7)
    (message,) = query(home, DELIVERIES, "message where status = 'superseded'")[0]
    assert "1 sub account(s) (111), 5 USD" in message


@pytest.mark.parametrize("is_vision_first", [False, True])
def test_scopes_stand_side_by_side(home: Home, is_vision_first: bool):
    assert land_both(home, "robots", "vision", is_vision_first=is_vision_first) == Decimal(12)


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (("", ""), ("robots", "vision"), 12),
        (("", ""), ("", "vision"), 12),  # the superseded one comes back
        (("", ""), ("robots", ""), 12),
        (("robots", "vision"), ("robots", "other"), 12),
        (("robots", "vision"), ("", ""), 7),
        (("robots", "vision"), ("same", "same"), 7),
    ],
)
def test_scopes_may_change(home: Home, before: tuple[str, str], after: tuple[str, str], expected: int):
    land_both(home, *before)
    assert land_both(home, *after) == Decimal(expected)
    assert land_both(home, *before) == Decimal(12 if before[0] else 7)


def test_a_scope_is_a_name(home: Home):
    configure(home, ROBOTS % ", options: {scope: [111]}")
    with pytest.raises(ConfigError, match=r"options\.scope.*\[111\].*a name for the part"):
        land(home)
