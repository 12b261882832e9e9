"""A build sees the files of its start, and redoes what differs from the last one that succeeded."""

import os
import subprocess
import sys
from datetime import date
from typing import Any

import duckdb
import pytest

from ingest import raw_views
from ingest.contracts import landing_tables
from ingest.date_span import DateSpan
from ingest.home import Home
from ingest.landing import land
from ingest.raw_views import BuildPlan, WarehouseError, pin, record_success

SOURCES = """\
sources:
  - {name: bills, kind: focus, location: "bills/*.csv"}
  - {name: gateway, kind: litellm, location: "logs/*.jsonl"}
  - {name: cluster, kind: opencost_allocation, location: "cluster/*.json"}
  - {name: gpus, kind: dcgm_prometheus, location: "gpus/*.json"}
"""


@pytest.fixture
def company(home: Home) -> Home:
    """Bills of April and June 2026; nothing else yet."""
    home.sources_path.write_text(SOURCES)
    for folder in ("bills", "logs", "cluster", "gpus"):
        (home.path / folder).mkdir()
    write_bill(home, 4)
    write_bill(home, 6)
    return home


def write_bill(home: Home, month: int, cost: str = "1") -> None:
    text = (
        "ProviderName,BillingAccountId,BillingCurrency,BillingPeriodStart,ChargePeriodStart,ChargePeriodEnd,"
        "ChargeCategory,BilledCost,EffectiveCost\n"
        f"AWS,a,USD,2026-{month:02d}-01,2026-{month:02d}-10,2026-{month:02d}-13,Usage,{cost},{cost}\n"
    )
    (home.path / f"bills/{month:02d}.csv").write_text(text)


def write_log(home: Home, name: str, day: date, tokens: int = 3) -> None:
    (home.path / f"logs/{name}.jsonl").write_text(
        f'{{"request_id": "{name}", "call_type": "acompletion", "api_key": "k", "spend": 0, "model": "gpt-4o", '
        f'"total_tokens": {tokens}, "prompt_tokens": {tokens}, "completion_tokens": 0, "status": "success", '
        f'"startTime": "{day}T10:00:00Z", "endTime": "{day}T10:00:01Z"}}\n'
    )


def write_samples(home: Home, day: date) -> None:
    at = f"{day.isoformat()}T12:00:00+00:00"
    seconds = int(duckdb.execute("select epoch(?::timestamptz)", [at]).fetchall()[0][0])
    (home.path / "gpus/range.json").write_text(
        '{"status": "success", "data": {"resultType": "matrix", "result": [{"metric": {"__name__": '
        '"DCGM_FI_DEV_POWER_USAGE", "UUID": "GPU-1", "gpu": "0", "Hostname": "n1", "modelName": "H100"}, '
        f'"values": [[{seconds}, "300"]]}}]}}}}'
    )


def write_allocation(home: Home, start: date, end: date) -> None:
    window = f'"start": "{start}T00:00:00Z", "end": "{end}T00:00:00Z"'
    (home.path / "cluster/answer.json").write_text(
        '{"code": 200, "data": [{"ns/pod": {"name": "ns/pod", "properties": {"cluster": "c", "node": "n1", '
        f'"namespace": "ns", "pod": "pod"}}, "window": {{{window}}}, {window}, "minutes": 1440, '
        '"cpuCost": 1, "totalCost": 1}}]}'
    )


def read(home: Home, sql: str) -> list[tuple[Any, ...]]:
    with duckdb.connect(str(home.warehouse_path), read_only=True) as connection:
        return connection.execute(sql).fetchall()


def build(home: Home, code: str = "v1", *, full_refresh: bool = False) -> BuildPlan:
    report = land(home)
    # Most of the company's folders are empty, which is told and is no refusal.
    assert not any(source.deliveries_refused or source.rows_quarantined for source in report.sources), report
    plan = pin(home, full_refresh=full_refresh, code_fingerprint=code)
    record_success(home, plan)
    return plan


def touched_days(home: Home) -> list[date]:
    return [row[0] for row in read(home, "select usage_date from raw.touched_days order by 1")]


def touched_periods(home: Home) -> list[date]:
    return [row[0] for row in read(home, "from raw.touched_periods order by 1")]


def days(month: int, first: int, last: int) -> list[date]:
    return [date(2026, month, day) for day in range(first, last + 1)]


APRIL, JUNE = date(2026, 4, 1), date(2026, 6, 1)


def test_every_landing_table_is_a_typed_view_even_when_empty(home: Home) -> None:
    home.sources_path.write_text("sources: []\n")
    land(home)
    pin(home, code_fingerprint="v1")
    for name, table in landing_tables().items():
        described = {row[0]: row[1] for row in read(home, f"describe from raw.{name}")}
        assert set(table.schema.names) <= set(described), name
        if table.partition:
            assert described[table.partition] == "DATE"
    assert read(home, "select is_full_refresh from raw.build_info") == [(True,)]


def test_the_first_build_touches_all_and_the_next_nothing(company: Home) -> None:
    plan = build(company)
    assert plan.is_full_refresh
    assert (touched_periods(company), touched_days(company)) == ([APRIL, JUNE], days(4, 10, 12) + days(6, 10, 12))
    again = build(company)
    assert (again.is_empty, again.touched_days, again.touched_periods) == (True, 0, 0)
    assert touched_days(company) == touched_periods(company) == []


def test_a_restated_bill_touches_its_period_and_the_days_it_covers(company: Home) -> None:
    build(company)
    write_bill(company, 6, cost="2")
    plan = build(company)
    assert not plan.is_full_refresh
    assert (touched_periods(company), touched_days(company)) == ([JUNE], days(6, 10, 12))


@pytest.mark.parametrize(
    ("charge", "is_touched"),
    [
        ("Credit,,vm-1,,,-1", True),
        ("Usage,Correction,vm-1,,,2", True),
        ("Usage,,vm-1,,,-1", True),
        ("Usage,,,sp-1,Unused,1", True),
        ("Credit,,,,,-1", False),
        ("Usage,,vm-1,,,1", False),
    ],
)
def test_a_restated_bill_touches_later_ones_that_take_back_what_it_may_hold(
    company: Home, charge: str, is_touched: bool
) -> None:
    (company.path / "bills/08.csv").write_text(
        "ProviderName,BillingAccountId,BillingCurrency,BillingPeriodStart,ChargePeriodStart,ChargePeriodEnd,"
        "ChargeCategory,ChargeClass,ResourceId,CommitmentDiscountId,CommitmentDiscountStatus,BilledCost,EffectiveCost\n"
        f"AWS,a,USD,2026-08-01,2026-08-10,2026-08-13,{charge},{charge.split(',')[-1]}\n"
    )
    build(company)
    write_bill(company, 6, cost="2")
    build(company)
    august = [date(2026, 8, 1)] if is_touched else []
    assert touched_periods(company) == [JUNE, *august]
    assert touched_days(company) == days(6, 10, 12) + (days(8, 10, 12) if is_touched else [])


def test_a_changed_log_touches_its_day_and_the_periods_that_allocate_over_it(company: Home) -> None:
    write_log(company, "inside", date(2026, 6, 11))
    write_log(company, "outside", date(2026, 7, 5))
    build(company)
    write_log(company, "outside", date(2026, 7, 6))
    build(company)
    july = ([date(2026, 7, 1)], days(7, 5, 6))
    assert (touched_periods(company), touched_days(company)) == july, (
        "the day it left is emptied; no bill, but accruals"
    )
    write_log(company, "inside", date(2026, 6, 11), tokens=4)
    build(company)
    assert (touched_periods(company), touched_days(company)) == ([JUNE], days(6, 10, 12))


def test_samples_touch_the_next_day_too(company: Home) -> None:
    build(company)
    write_samples(company, date(2026, 5, 20))
    build(company)
    assert touched_days(company) == days(5, 20, 21)


def test_samples_touch_the_period_whose_last_night_they_end(company: Home) -> None:
    """A bill that begins within a month covers the 10th to the 12th; a reading on the 13th ends a count of the 12th."""
    (company.path / "bills/power.csv").write_text(
        "ProviderName,BillingAccountId,BillingCurrency,BillingPeriodStart,ChargePeriodStart,ChargePeriodEnd,"
        "ChargeCategory,BilledCost,EffectiveCost\nGrid,p,USD,2026-07-05,2026-07-10,2026-07-13,Usage,1,1\n"
    )
    build(company)
    write_samples(company, date(2026, 7, 13))
    build(company)
    assert touched_periods(company) == [date(2026, 7, 1), date(2026, 7, 5)]


def test_a_touched_month_rebuilds_days_that_a_window_of_the_month_before_reaches(company: Home) -> None:
    write_allocation(company, date(2026, 7, 31), date(2026, 8, 2))
    write_log(company, "august", date(2026, 8, 20))
    build(company)
    write_log(company, "august", date(2026, 8, 21))
    build(company)
    assert touched_days(company) == [date(2026, 8, 1), *days(8, 20, 21)]


def test_a_month_is_known_by_bills_and_use_of_now_alone(company: Home) -> None:
    """The month of a log that was dated wrong is emptied, and no machine is charged for it any more."""
    write_log(company, "log", date(2026, 12, 5))
    build(company)
    known = "from raw.known_months order by 1"
    assert read(company, known) == [(APRIL,), (JUNE,), (date(2026, 12, 1),)]
    write_log(company, "log", date(2026, 6, 11))
    build(company)
    assert touched_periods(company) == [JUNE, date(2026, 12, 1)]
    assert read(company, known) == [(APRIL,), (JUNE,)]


def test_an_allocation_touches_every_day_of_its_window(company: Home) -> None:
    build(company)
    write_allocation(company, date(2026, 5, 20), date(2026, 5, 23))
    build(company)
    assert touched_days(company) == days(5, 20, 22)
    write_allocation(company, date(2026, 5, 20), date(2026, 5, 21))
    build(company)
    assert touched_days(company) == days(5, 20, 22), "the days that the window no longer covers are redone as well"


@pytest.mark.parametrize("change", ["code", "config", "asked", "deleted"])
def test_what_speaks_for_any_day_touches_everything(company: Home, change: str) -> None:
    build(company)
    if change == "config":
        (company.config_dir / "recipients.csv").write_text("team_id,email,valid_from,valid_to\nml,a@example.com,,\n")
    if change == "deleted":
        company.warehouse_path.unlink()
    plan = build(company, "v2" if change == "code" else "v1", full_refresh=change == "asked")
    assert plan.is_full_refresh
    assert touched_periods(company) == [APRIL, JUNE]
    assert build(company, "v2" if change == "code" else "v1").is_empty


def test_days_to_build_again_are_touched_with_their_month_and_days_without_data_are_not(company: Home) -> None:
    write_log(company, "june", date(2026, 6, 20))
    write_log(company, "may", date(2026, 5, 20))
    build(company)
    plan = pin(company, code_fingerprint="v1", again=DateSpan(date(2026, 6, 20), date(2026, 8, 1)))
    assert (plan.is_empty, plan.is_full_refresh) == (False, False)
    assert (touched_periods(company), touched_days(company)) == ([JUNE], [*days(6, 10, 12), date(2026, 6, 20)])
    plan = pin(company, code_fingerprint="v1", again=DateSpan(date(2026, 7, 1), date(2026, 8, 1)))
    assert plan.is_empty, "no day of July has data"


def test_what_was_refused_is_built_for_once_though_it_touches_no_day(company: Home) -> None:
    build(company)
    write_bill(company, 5, cost="much")
    assert land(company).has_refusals
    plan = pin(company, code_fingerprint="v1")
    assert (plan.is_empty, plan.touched_days, plan.touched_periods) == (False, 0, 0), "conformance tells of refusals"
    record_success(company, plan)
    assert pin(company, code_fingerprint="v1").is_empty


def test_a_comment_in_a_config_file_touches_nothing(company: Home) -> None:
    build(company)
    path = company.config_dir / "recipients.csv"
    path.write_text(f"# who gets what\n{path.read_text()}")
    assert build(company).is_empty


def test_a_build_that_failed_is_redone_with_what_came_since(company: Home) -> None:
    build(company)
    write_bill(company, 6, cost="2")
    land(company)
    failed = pin(company, code_fingerprint="v1")
    write_bill(company, 4, cost="3")
    build(company)
    assert touched_periods(company) == [APRIL, JUNE]
    with pytest.raises(WarehouseError, match="pinned again"):
        record_success(company, failed)


def test_views_read_only_the_partitions_asked_for(company: Home) -> None:
    for day in range(1, 9):
        write_log(company, f"r{day}", date(2026, 7, day))
    build(company)
    sql = "select count(*) from raw.litellm_requests where usage_date in (select usage_date from raw.wanted)"
    with duckdb.connect(str(company.warehouse_path)) as connection:
        connection.execute("create table raw.wanted as select date '2026-07-03' as usage_date")
        plan = connection.execute(f"explain analyze {sql}").fetchall()[0][1]
        assert connection.execute(sql).fetchall() == [(1,)]
    assert "Total Files Read: 1" in plan


def test_a_warehouse_in_use_is_said_so(company: Home) -> None:
    land(company)
    pin(company, code_fingerprint="v1")
    holder = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import sys, duckdb\nc = duckdb.connect(sys.argv[1])\nprint('open', flush=True); sys.stdin.read()",
            str(company.warehouse_path),
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=dict(os.environ),
    )
    assert holder.stdout is not None
    try:
        assert holder.stdout.readline() == b"open\n"
        with pytest.raises(WarehouseError, match=r"warehouse\.duckdb cannot be opened"):
            pin(company, code_fingerprint="v1")
    finally:
        holder.communicate(b"", timeout=20)
    assert raw_views.pin(company, code_fingerprint="v1").is_full_refresh
