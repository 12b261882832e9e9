"""Bills, newest version first; logs, each object its own rows; bad input named and nothing lost."""

import gzip
import os
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import boto3
import duckdb
import pytest

from ingest import lake
from ingest.contracts import DELIVERIES, FOCUS_CHARGES, LITELLM_REQUESTS, QUARANTINE, LandingTable
from ingest.home import Home
from ingest.landing import LandingReport, SourceReport, count_changes, land
from ingest.registry import Registry, latest_sql

HEADER = (
    "ProviderName,BillingAccountId,BillingPeriodStart,ChargePeriodStart,ChargePeriodEnd,ChargeCategory,"
    "BilledCost,EffectiveCost,BillingCurrency,ResourceId"
)


def bill(*costs: str, provider: str = "AWS", month: int = 5, currency: str = "USD") -> str:
    period = f"2026-{month:02d}"
    lines = [
        f"{provider},acct-1,{period}-01T00:00:00Z,{period}-02T00:00:00Z,{period}-03T00:00:00Z,Usage,"
        f"{cost},{cost},{currency},i-{index}-{cost}"
        for index, cost in enumerate(costs)
    ]
    return "\n".join([HEADER, *lines]) + "\n"


def request(request_id: str, day: int = 1, tokens: int = 7) -> str:
    at = f"2026-05-{day:02d}T10:00:0"
    return (
        f'{{"request_id": "{request_id}", "call_type": "acompletion", "api_key": "k", "spend": 0.001, '
        f'"total_tokens": {tokens}, "prompt_tokens": {tokens}, "completion_tokens": 0, '
        f'"startTime": "{at}0Z", "endTime": "{at}1Z", "model": "gpt-4o", "status": "success"}}'
    )


def configure(home: Home, *sources: str) -> None:
    lines = "".join(f"  - {source}\n" for source in sources)
    home.sources_path.write_text(f"reporting_currency: USD\nsources:\n{lines}" if sources else "sources: []\n")


def write(path: Path, text: str | bytes, modified_at: int | None = None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    if modified_at is not None:
        os.utime(path, (modified_at, modified_at))
    return path


def query(home: Home, table: LandingTable, select: str) -> list[tuple[Any, ...]]:
    with lake.open_engine(home) as engine:
        sql = lake.select_files_sql(engine, table, lake.list_files(home, table))
        sql = latest_sql(sql) if table is DELIVERIES else sql
        return engine.execute(f"from ({sql}) as t select {select}").fetchall()


def billed(home: Home, where: str = "true") -> Decimal | None:
    return query(home, FOCUS_CHARGES, f"sum(billed_cost) filter (where {where})")[0][0]


def versions(home: Home) -> list[int | None]:
    return [lake.read_version(home, table) for table in (FOCUS_CHARGES, LITELLM_REQUESTS, DELIVERIES, QUARANTINE)]


def find(report: LandingReport, name: str) -> SourceReport:
    return next(item for item in report.sources if item.source_name == name)


def check_counts(home: Home, table: LandingTable) -> None:
    """landed + quarantined = read for every object, and what the registry says is landed stands in the table."""
    counts = query(home, DELIVERIES, "object_uri, sum(rows_read), sum(rows_landed + rows_quarantined) group by all")
    assert all(read == accounted for _, read, accounted in counts), counts
    landed = query(home, DELIVERIES, f"coalesce(sum(rows_landed) filter (where table_name = '{table.name}'), 0)")
    assert landed == query(home, table, "count(*)")


FOCUS_SOURCE = "{name: bills, kind: focus, location: exports/**/*.csv}"
LOG_SOURCE = "{name: gateway, kind: litellm, location: logs/}"


# --- bills -----------------------------------------------------------------------------------------------------------


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
    assert {Path(uri).parent for uri, status in statuses if status == "landed"} == {home.path / "exports" / folders[2]}


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
    assert (source, uri, found_field or "") == ("bills", str(home.path / "exports/may.csv"), field)
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
        (gzip.compress(bill("1").encode())[:-9], "truncated gzip"),
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
    table = lake.read_book(home, "config_versions")
    assert table is not None
    texts = [row["text"] for row in table.to_pylist() if row["name"] == "fx_rates"]
    assert ["1.08" in text for text in texts] == [True, False]
    assert "1.09" in texts[1]


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
