"""Logs, each object its own rows; dated facts; crashes, object stores and the real sets."""

import gzip
from datetime import UTC, datetime
from pathlib import Path

import boto3
import duckdb
import pytest

from ingest import book_files, lake
from ingest.allocation_policies import METHODS
from ingest.contracts import DATED_FACTS, FOCUS_CHARGES, LITELLM_REQUESTS, QUARANTINE
from ingest.home import Home
from ingest.landing import count_changes, land
from ingest.registry import Registry
from tests.ingest.landed import (
    FOCUS_SOURCE,
    LOG_SOURCE,
    bill,
    billed,
    check_counts,
    configure,
    find,
    query,
    request,
    write,
)

# --- logs ------------------------------------------------------------------------------------------------------------


def test_a_log_object_owns_its_rows_and_only_its_changed_days_are_swapped(home: Home) -> None:
    configure(home, LOG_SOURCE)
    first = write(home.path / "logs/a.jsonl", f"{request('a1')}\n{request('a2', day=2)}\n")
    write(home.path / "logs/b.jsonl", f"{request('b1')}\n{request('b2', day=2)}\n")
    land(home)
    assert len(lake.list_files(home, LITELLM_REQUESTS)) == 2, "objects of a batch share the file of a day"
    before = {file.path for file in lake.list_files(home, LITELLM_REQUESTS)}
    write(first, f"{request('a1')}\n{request('a2', day=2)}\n{request('a3', day=3)}\n")
    land(home)
    after = {file.path for file in lake.list_files(home, LITELLM_REQUESTS)}
    assert before < after, "days that say the same keep their file"
    assert {path.split("/")[0] for path in after - before} == {"usage_date=2026-05-03"}
    write(first, f"{request('a1')}\n{request('a2', day=2, tokens=8)}\n{request('a3', day=3)}\n")
    land(home)
    last = {file.path for file in lake.list_files(home, LITELLM_REQUESTS)}
    assert {path.split("/")[0] for path in after ^ last} == {"usage_date=2026-05-02"}
    found = query(home, LITELLM_REQUESTS, "request_id, total_tokens order by 1")
    assert found == [("a1", 7), ("a2", 8), ("a3", 7), ("b1", 7), ("b2", 7)]
    check_counts(home, LITELLM_REQUESTS)


def test_a_malformed_log_line_costs_that_line_alone(home: Home) -> None:
    configure(home, LOG_SOURCE)
    write(home.path / "logs/a.jsonl", f"{request('a1')}\nnot json\n{request('a2')}\n")
    report = land(home)
    gateway = find(report, "gateway")
    assert (gateway.rows_read, gateway.rows_landed, gateway.rows_quarantined) == (3, 2, 1)
    assert not report.has_refusals
    assert query(home, QUARANTINE, "position, scope") == [(2, "row")]
    check_counts(home, LITELLM_REQUESTS)
    write(home.path / "logs/a.jsonl", f"{request('a1')}\n{request('a2')}\n")
    land(home)
    assert query(home, QUARANTINE, "count(*)") == [(0,)]


def test_an_unreadable_log_object_keeps_what_it_said_before(home: Home) -> None:
    configure(home, LOG_SOURCE)
    path = write(home.path / "logs/a.jsonl", request("a1"))
    write(home.path / "logs/b.jsonl", request("b1"))
    land(home)
    write(path, b"\x89PNG")
    report = land(home)
    assert (report.has_refusals, find(report, "gateway").deliveries_refused) == (True, 1)
    assert query(home, LITELLM_REQUESTS, "request_id order by 1") == [("a1",), ("b1",)]
    check_counts(home, LITELLM_REQUESTS)
    write(path, request("a9"))
    assert not land(home).has_refusals
    assert query(home, LITELLM_REQUESTS, "request_id order by 1") == [("a9",), ("b1",)]
    check_counts(home, LITELLM_REQUESTS)


def test_a_renamed_source_does_not_double_its_rows(home: Home) -> None:
    configure(home, LOG_SOURCE)
    write(home.path / "logs/a.jsonl", request("a1"))
    land(home)
    configure(home, LOG_SOURCE.replace("gateway", "proxy"))
    land(home)
    assert query(home, LITELLM_REQUESTS, "request_id, _source") == [("a1", "proxy")]
    check_counts(home, LITELLM_REQUESTS)


def test_a_home_that_was_moved_does_not_double_its_rows(home: Home, tmp_path: Path) -> None:
    configure(home, LOG_SOURCE)
    write(home.path / "logs/1.jsonl", request("a") + "\n" + request("b"))
    land(home)
    moved = Home(home.path.rename(tmp_path / "moved"))
    assert find(land(moved), "gateway").deliveries_unchanged == 1
    (moved.path / "logs/1.jsonl").touch()
    land(moved)
    assert query(moved, LITELLM_REQUESTS, "count(*)") == [(2,)]


def test_config_facts_land_with_their_versions_and_a_bad_file_keeps_the_last_good_one(home: Home) -> None:
    configure(home)
    header = "currency_code,to_currency_code,rate,valid_from,valid_to,source\n"
    path = home.config_dir / "fx_rates.csv"
    path.write_text(f"{header}EUR,USD,1.08,2026-01-01,,ECB\n")
    assert not land(home).has_refusals
    path.write_text(f"{header}EUR,USD,much,2026-01-01,,ECB\n")
    report = land(home)
    assert report.has_refusals
    assert query(home, QUARANTINE, "field") == [("rate",)]
    path.write_text(f"{header}EUR,USD,1.09,2026-01-01,,ECB\n")
    assert not land(home).has_refusals
    table = book_files.read_book(home, "config_versions")
    assert table is not None
    texts = [row["text"] for row in table.to_pylist() if row["name"] == "fx_rates"]
    assert ["1.08" in text for text in texts] == [True, False]
    assert "1.09" in texts[1]


def test_policies_that_are_broken_from_the_start_leave_the_built_in_ones_and_say_so(home: Home) -> None:
    configure(home)
    home.policies_path.write_text("allocation:\n  - {subject: idle, method: guess}\n")
    report = land(home)
    assert report.has_refusals
    messages = find(report, "config").messages
    assert "method" in messages[0] and "until it is corrected the built-in policies hold" in messages[1]
    allocation, policies = DATED_FACTS["allocation_policies"], DATED_FACTS["policies"]
    assert query(home, allocation, "count(distinct subject), min(policy_id)") == [(len(METHODS), "default/charge_mode")]
    assert query(home, policies, "count(*) > 0") == [(True,)]

    home.policies_path.write_text("allocation:\n  - {subject: idle, method: even}\n")
    assert not land(home).has_refusals
    assert query(home, allocation, "count(*) filter (where subject = 'idle' and method = 'even')") == [(1,)]
    home.policies_path.write_text("allocation:\n  - {subject: idle, method: guess}\n")
    assert not any("built-in" in message for message in find(land(home), "config").messages)
    assert query(home, allocation, "count(*) filter (where subject = 'idle' and method = 'even')") == [(1,)]


def test_a_csv_that_is_broken_from_the_start_counts_as_absent_and_says_so(home: Home) -> None:
    configure(home)
    (home.config_dir / "owners.csv").write_text("rule_id,team\nr1,ml\n")
    report = land(home)
    assert report.has_refusals
    assert any(
        "owners.csv" in message and "as if there were no such file" in message
        for message in find(report, "config").messages
    )
    assert query(home, DATED_FACTS["owners"], "count(*)") == [(0,)]


# --- crashes, storage, memory ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("source", [FOCUS_SOURCE, LOG_SOURCE])
def test_a_crash_between_data_and_registry_lands_again_harmlessly(
    home: Home, monkeypatch: pytest.MonkeyPatch, source: str
) -> None:
    configure(home, source)
    table = FOCUS_CHARGES if source is FOCUS_SOURCE else LITELLM_REQUESTS
    write(home.path / "exports/may.csv", bill("1"))
    write(home.path / "logs/a.jsonl", request("a1"))
    with monkeypatch.context() as broken:
        broken.setattr(Registry, "record", _die)
        with pytest.raises(KeyboardInterrupt):
            land(home)
    assert query(home, table, "count(*)") == [(1,)]
    # What arrives meanwhile must not hide that the first object is there already.
    write(home.path / "logs/b.jsonl", request("b1", day=2))
    land(home)
    assert query(home, table, "count(*)") == [(1 if table is FOCUS_CHARGES else 2,)]
    check_counts(home, table)
    assert list(home.scratch_dir.rglob("*.parquet")) == []


def _die(*_: object) -> None:
    raise KeyboardInterrupt


def test_objects_of_s3_land_and_say_when_they_changed(home: Home, s3_endpoint: str) -> None:
    client = boto3.client("s3", endpoint_url=s3_endpoint, region_name="us-east-1")
    client.create_bucket(Bucket="exports")
    client.put_object(Bucket="exports", Key="focus/may.csv.gz", Body=gzip.compress(bill("1", "2").encode()))
    configure(
        home,
        f"{{name: bills, kind: focus, location: 's3://exports/focus/', "
        f"options: {{region: us-east-1, endpoint_url: '{s3_endpoint}'}}}}",
    )
    assert count_changes(home) == {"bills": 1}
    land(home)
    assert billed(home) == 3
    assert (count_changes(home), find(land(home), "bills").deliveries_unchanged) == ({"bills": 0}, 1)
    client.put_object(Bucket="exports", Key="focus/may.csv.gz", Body=gzip.compress(bill("4").encode()))
    assert count_changes(home) == {"bills": 1}
    land(home)
    assert billed(home) == 4
    assert query(home, FOCUS_CHARGES, "_object") == [("s3://exports/focus/may.csv.gz",)]


def test_the_real_sets_land_whole_with_their_control_sums(home: Home, shared_data: Path) -> None:
    folders = ("focus_1_0_official_sample", "focus_1_2_generated", "focus_spec_examples")
    if not all((shared_data / folder).is_dir() for folder in folders):
        pytest.skip("the FOCUS sets are absent")
    configure(
        home, *(f"{{name: set-{n}, kind: focus, location: '{shared_data / f}/*.csv*'}}" for n, f in enumerate(folders))
    )
    report = land(home)
    assert not report.has_refusals
    assert [find(report, f"set-{n}").rows_landed for n in range(3)] == [497, 9000, 22]
    sums = dict(query(home, FOCUS_CHARGES, "provider_name, sum(effective_cost) group by all having count(*) = 3000"))
    plain = duckdb.execute(
        "select ProviderName, sum(EffectiveCost::decimal(38, 18)) from read_csv($files, all_varchar = true) group by 1",
        {"files": f"{shared_data / folders[1]}/*.csv.gz"},
    ).fetchall()
    sums["AWS"] = query(home, FOCUS_CHARGES, "sum(effective_cost) where provider_name = 'AWS' and _source = 'set-1'")[
        0
    ][0]
    assert sums == dict(plain)
    check_counts(home, FOCUS_CHARGES)


def test_landing_is_utc_whatever_the_zone_of_the_machine(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    configure(home, FOCUS_SOURCE)
    write(home.path / "exports/may.csv", bill("1"), int(datetime(2026, 6, 1, tzinfo=UTC).timestamp()))
    land(home)
    assert query(home, FOCUS_CHARGES, "charge_period_start") == [(datetime(2026, 5, 2),)]
