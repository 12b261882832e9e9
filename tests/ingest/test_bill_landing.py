"""Bills: newest version first, whole or not at all; bad input named and nothing lost."""

import gzip
from datetime import datetime
from decimal import Decimal
from pathlib import Path

import pytest

from ingest import lake
from ingest.contracts import DELIVERIES, FOCUS_CHARGES, QUARANTINE
from ingest.home import Home
from ingest.landing import land
from tests.ingest.landed import (
    FOCUS_SOURCE,
    HEADER,
    bill,
    billed,
    check_counts,
    configure,
    find,
    query,
    versions,
    write,
)


def test_a_bill_lands_once_and_again_is_no_change(home: Home) -> None:
    configure(home, FOCUS_SOURCE)
    write(home.path / "exports/may.csv", bill("1.5", "2.25"))
    report = land(home)
    assert (find(report, "bills").rows_landed, report.has_refusals) == (2, False)
    assert find(report, "bills").data_through_at == datetime(2026, 5, 3)
    before = versions(home)
    again = find(land(home), "bills")
    assert (again.deliveries_unchanged, again.rows_read, versions(home)) == (1, 0, before)
    assert billed(home) == Decimal("3.75")


def test_the_same_content_delivered_again_swaps_no_file(home: Home) -> None:
    configure(home, FOCUS_SOURCE)
    write(home.path / "exports/2026-06-01/may.csv", bill("1.5", "2.25"))
    land(home)
    version = lake.read_version(home, FOCUS_CHARGES)
    write(
        home.path / "exports/2026-06-02/may.csv",
        bill("2.25", "1.5").replace("i-0-2.25", "i-1-2.25").replace("i-1-1.5", "i-0-1.5"),
    )
    report = find(land(home), "bills")
    assert report.deliveries_landed == 1
    assert lake.read_version(home, FOCUS_CHARGES) == version
    assert billed(home) == Decimal("3.75")


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0)])
@pytest.mark.parametrize(
    "folders",
    [
        (
            "BILLING_PERIOD=2026-05/2026-06-01T01:00:00Z-aa",
            "BILLING_PERIOD=2026-05/2026-06-02T01:00:00Z-00",
            "BILLING_PERIOD=2026-05/2026-06-02T02:00:00Z-b",
        ),
        ("20260501-20260531/202606010000/x", "20260501-20260531/202606020000/a", "20260501-20260531/202606030000/b"),
        ("run-2", "run-9", "run-10"),
    ],
)
def test_the_newest_version_wins_whatever_arrives_first(
    home: Home, folders: tuple[str, ...], order: tuple[int, ...]
) -> None:
    configure(home, FOCUS_SOURCE)
    for arrival, index in enumerate(order):
        # Arrival and modification time say the opposite of the export's own time.
        write(home.path / f"exports/{folders[index]}/part.csv", bill(f"{index + 1}"), 1_780_000_000 + arrival)
        land(home)
        check_counts(home, FOCUS_CHARGES)
    assert billed(home) == 3
    statuses = query(home, DELIVERIES, "object_uri, status")
    assert {Path(uri).parent for uri, status in statuses if status == "landed"} == {Path("exports") / folders[2]}


def test_without_a_time_in_the_path_the_files_own_time_decides(home: Home) -> None:
    configure(home, FOCUS_SOURCE)
    write(home.path / "exports/b/may.csv", bill("1"), 1_780_000_000)
    write(home.path / "exports/a/may.csv", bill("2"), 1_780_000_100)
    land(home)
    assert billed(home) == 2
    write(home.path / "exports/c/may.csv", bill("3"), 1_770_000_000)
    assert find(land(home), "bills").deliveries_superseded == 1
    assert billed(home) == 2


def test_parts_of_a_folder_make_one_bill_and_a_restated_part_replaces_its_own(home: Home) -> None:
    configure(home, FOCUS_SOURCE)
    write(home.path / "exports/one.csv", bill("1"))
    write(home.path / "exports/two.csv", bill("2") + bill("40", month=6).removeprefix(HEADER + "\n"))
    land(home)
    assert billed(home) == 43
    write(home.path / "exports/one.csv", bill("10", "20"))
    land(home)
    assert billed(home) == 72
    check_counts(home, FOCUS_CHARGES)
    write(home.path / "exports/three.csv", bill("100"))
    land(home)
    assert billed(home) == 172
    check_counts(home, FOCUS_CHARGES)


def test_only_the_slice_that_moved_is_swapped(home: Home) -> None:
    configure(home, FOCUS_SOURCE)
    path = home.path / "exports/all.csv"
    write(path, bill("1", month=4) + bill("2").removeprefix(HEADER + "\n"))
    land(home)
    before = {file.partition_date: file.path for file in lake.list_files(home, FOCUS_CHARGES)}
    write(path, bill("1", month=4) + bill("2", "3").removeprefix(HEADER + "\n"))
    land(home)
    after = {file.partition_date: file.path for file in lake.list_files(home, FOCUS_CHARGES)}
    assert [day.month for day in before if day and before[day] != after[day]] == [5]


def test_the_same_row_in_two_parts_refuses_the_bill(home: Home) -> None:
    configure(home, FOCUS_SOURCE)
    write(home.path / "exports/one.csv", bill("1", "2"))
    write(home.path / "exports/copy.csv", bill("1", "2"))
    write(home.path / "exports/other.csv", bill("7", provider="GCP"))
    report = land(home)
    assert report.has_refusals
    assert "the same row stands in two parts" in " ".join(find(report, "bills").messages)
    assert billed(home) == 7
    check_counts(home, FOCUS_CHARGES)
    (home.path / "exports/copy.csv").unlink()
    assert not land(home).has_refusals
    assert billed(home) == 10
    assert query(home, QUARANTINE, "count(*)") == [(0,)]


@pytest.mark.parametrize(
    ("bad", "field", "reason"),
    [
        (bill("1", "free"), "BilledCost", "not an amount"),
        (bill("1").replace("2026-05-03T", "2026-05-01T"), "ChargePeriodEnd", "ends before"),
        (bill("1", currency="dollars"), "BillingCurrency", "three capital letters"),
        (bill("1") + "AWS,acct-1\n", "", "does not fit the header"),
    ],
)
def test_one_bad_row_refuses_the_bill_and_keeps_the_one_before(home: Home, bad: str, field: str, reason: str) -> None:
    configure(home, FOCUS_SOURCE, "{name: other, kind: focus, location: other.csv}")
    write(home.path / "exports/may.csv", bill("5"))
    land(home)
    write(home.path / "exports/may.csv", bad)
    write(home.path / "other.csv", bill("8", provider="GCP"))
    report = land(home)
    assert report.has_refusals
    assert (find(report, "bills").deliveries_refused, find(report, "other").deliveries_landed) == (1, 1)
    assert billed(home) == 13
    rows = query(home, QUARANTINE, "source_name, object_uri, position, field, reason where scope = 'row'")
    ((source, uri, position, found_field, found_reason),) = rows
    assert (source, uri, found_field or "") == ("bills", "exports/may.csv", field)
    assert position >= 2
    assert reason in found_reason
    check_counts(home, FOCUS_CHARGES)
    before = versions(home)
    assert land(home).has_refusals, "a refused bill stands until it is mended"
    assert versions(home) == before
    write(home.path / "exports/may.csv", bill("6"))
    assert not land(home).has_refusals
    assert (billed(home), query(home, QUARANTINE, "count(*)")) == (14, [(0,)])
    check_counts(home, FOCUS_CHARGES)


def test_a_bad_row_holds_back_its_own_bill_and_no_other_of_the_folder(home: Home) -> None:
    configure(home, FOCUS_SOURCE)
    write(home.path / "exports/aws.csv", bill("1"))
    write(home.path / "exports/aws-2.csv", bill("oops") + bill("2", provider="GCP").removeprefix(HEADER + "\n"))
    write(home.path / "exports/azure.csv", bill("4", provider="Azure"))
    assert land(home).has_refusals
    assert billed(home) == 4, "the bad row is of AWS, its file claims GCP too, and Azure is another bill"
    check_counts(home, FOCUS_CHARGES)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "empty"),
        (b'{"a": 1}', "JSON"),
        (gzip.compress(bill("1").encode(), mtime=0)[:-9], "truncated gzip"),
        (bill("1", provider="Caf\u00e9").encode("latin-1"), "not UTF-8"),
        (bill("1").replace("BilledCost", "Cost"), "missing required column BilledCost"),
    ],
)
def test_an_unreadable_file_refuses_what_came_with_it(home: Home, content: bytes | str, reason: str) -> None:
    configure(home, FOCUS_SOURCE, "{name: other, kind: focus, location: other.csv}")
    write(home.path / "other.csv", bill("8", provider="GCP"))
    write(home.path / "exports/old/april.csv", bill("3", month=4))
    land(home)
    write(home.path / "exports/new/bad.csv", content)
    write(home.path / "exports/new/good.csv", bill("1"))
    report = land(home)
    assert find(report, "bills").deliveries_refused == 2
    assert reason in " ".join(find(report, "bills").messages)
    assert billed(home) == 11
    assert reason in query(home, QUARANTINE, "reason where scope = 'object'")[0][0]
    check_counts(home, FOCUS_CHARGES)
    (home.path / "exports/new/bad.csv").unlink()
    assert not land(home).has_refusals
    assert billed(home) == 12


def test_a_missing_file_makes_its_source_stale_and_no_other(home: Home) -> None:
    configure(home, "{name: gone, kind: focus, location: nowhere.csv}", FOCUS_SOURCE)
    write(home.path / "exports/may.csv", bill("1"))
    report = land(home)
    assert find(report, "gone").is_stale
    assert "nowhere.csv" in find(report, "gone").messages[0]
    assert report.has_refusals
    assert billed(home) == 1
    assert query(home, QUARANTINE, "source_name, scope") == [("gone", "object")]
    write(home.path / "nowhere.csv", bill("2", provider="GCP"))
    assert not land(home).has_refusals
    assert query(home, QUARANTINE, "count(*)") == [(0,)]


def test_files_that_vanish_keep_what_they_landed_and_say_so(home: Home) -> None:
    configure(home, FOCUS_SOURCE)
    path = write(home.path / "exports/2026-06-02/may.csv", bill("1"))
    land(home)
    path.unlink()
    write(home.path / "exports/2026-06-01/may.csv", bill("9"))
    report = land(home)
    assert "no longer at the source" in " ".join(find(report, "bills").messages)
    assert billed(home) == 1, "what is gone from the source is still the newest version"


def test_two_sources_of_one_bill_count_it_once(home: Home) -> None:
    configure(home, "{name: old, kind: focus, location: old.csv}", "{name: new, kind: focus, location: new.csv}")
    write(home.path / "old.csv", bill("1"), 1_780_000_000)
    write(home.path / "new.csv", bill("2"), 1_780_000_001)
    land(home)
    assert billed(home) == 2
    assert dict(query(home, DELIVERIES, "source_name, status")) == {"old": "superseded", "new": "landed"}
    check_counts(home, FOCUS_CHARGES)


def test_other_options_read_the_object_again(home: Home) -> None:
    text = "\n".join(",".join(line.split(",")[:8]) for line in bill("1").splitlines())
    write(home.path / "may.csv", text)
    configure(home, "{name: bills, kind: focus, location: may.csv}")
    land(home)
    assert query(home, FOCUS_CHARGES, "billing_currency") == [(None,)]
    configure(home, "{name: bills, kind: focus, location: may.csv, options: {defaults: {BillingCurrency: EUR}}}")
    land(home)
    assert query(home, FOCUS_CHARGES, "billing_currency") == [("EUR",)]
