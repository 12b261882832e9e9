"""Control totals: what landing counted of each object counts while the object is landed, and no longer."""

import shutil
from decimal import Decimal
from typing import Final

import pytest

from ingest import lake
from ingest.contracts import CONTROL_TOTALS, FOCUS_CHARGES, LITELLM_REQUESTS, landing_tables
from ingest.control_measures import MEASURES
from ingest.control_totals import select_figures
from ingest.home import Home
from ingest.kinds import KINDS
from ingest.landing import land
from ingest.raw_views import pin
from ingest.registry import LANDED, SUPERSEDED, Registry
from tests.ingest.landed import (
    FOCUS_SOURCE,
    LOG_SOURCE,
    bill,
    check_counts,
    configure,
    counted,
    request,
    write,
)

BY_PAYER: Final = "billing_account_id, currency_code, measure, total order by all"


def test_a_bill_is_summed_by_payer_and_basis(home: Home) -> None:
    configure(home, FOCUS_SOURCE)
    rows = bill("1.5", "2.25") + bill("7", currency="JPY").split("\n", 1)[1].replace("acct-1", "acct-2")
    write(home.path / "exports/may.csv", rows)
    land(home)
    payers = (("acct-1", "USD", "3.75", 2), ("acct-2", "JPY", "7", 1))
    expected = [
        (account, currency, measure, value)
        for account, currency, total, count in payers
        for measure, value in (
            ("billed_cost", Decimal(total)),
            ("effective_cost", Decimal(total)),
            ("row_count", count),
        )
    ]
    assert counted(home, FOCUS_CHARGES, BY_PAYER) == expected


def test_calls_are_counted_with_their_tokens(home: Home) -> None:
    configure(home, LOG_SOURCE)
    write(home.path / "logs/a.jsonl", "\n".join([request("r1", tokens=7), request("r2", tokens=5)]))
    land(home)
    found = dict(counted(home, LITELLM_REQUESTS))
    assert (found["row_count"], found["input_tokens"], found["output_tokens"]) == (2, 12, 0)


def test_what_was_superseded_or_refused_does_not_count(home: Home) -> None:
    configure(home, FOCUS_SOURCE)
    write(home.path / "exports/2026-06-01/may.csv", bill("1", "2"))
    land(home)
    write(home.path / "exports/2026-06-02/may.csv", bill("4"))
    land(home)
    assert dict(counted(home, FOCUS_CHARGES))["billed_cost"] == 4
    write(home.path / "exports/2026-06-03/may.csv", bill("5", "not-a-number"))
    land(home)
    assert dict(counted(home, FOCUS_CHARGES))["billed_cost"] == 4
    check_counts(home, FOCUS_CHARGES)


def test_an_object_read_again_is_counted_once(home: Home) -> None:
    configure(home, LOG_SOURCE)
    for tokens in (7, 9, 9):
        write(home.path / "logs/a.jsonl", "\n".join([request("r1", tokens=tokens), request("r2", day=2)]))
        land(home)
        assert dict(counted(home, LITELLM_REQUESTS))["input_tokens"] == tokens + 7
        check_counts(home, LITELLM_REQUESTS)
    configure(home, LOG_SOURCE.replace("gateway", "renamed"))
    land(home)
    assert dict(counted(home, LITELLM_REQUESTS))["row_count"] == 2


def test_what_landed_before_there_were_totals_is_counted_once_in_the_lake(home: Home) -> None:
    configure(home, FOCUS_SOURCE, LOG_SOURCE)
    write(home.path / "exports/may.csv", bill("1.5", "2.25"))
    write(home.path / "exports/june.csv", bill("3", month=6))
    write(home.path / "logs/a.jsonl", request("r1"))
    write(home.path / "logs/b.jsonl", request("r2"))
    land(home)
    figures = "object_uri, partition_date, currency_code, measure, total order by all"
    as_read = [counted(home, table, figures) for table in (FOCUS_CHARGES, LITELLM_REQUESTS)]
    shutil.rmtree(lake.get_table_dir(home, CONTROL_TOTALS))
    pin(home, code_fingerprint="v1")
    assert [counted(home, table, figures) for table in (FOCUS_CHARGES, LITELLM_REQUESTS)] == as_read
    assert counted(home, FOCUS_CHARGES, "distinct counted_from") == [("lake",)]
    version = lake.read_version(home, CONTROL_TOTALS)
    pin(home, code_fingerprint="v1")
    assert lake.read_version(home, CONTROL_TOTALS) == version


def test_of_an_object_that_was_accepted_as_lost_what_is_left_counts(home: Home) -> None:
    configure(home, LOG_SOURCE)
    write(home.path / "logs/a.jsonl", "\n".join([request("r1"), request("r2", day=2), request("r3", day=2)]))
    land(home)
    (lost,) = [file for file in lake.list_files(home, LITELLM_REQUESTS) if file.row_count == 2]
    lake.swap_files(home, LITELLM_REQUESTS, [], [lost])
    with lake.open_engine(home) as engine:
        registry = Registry(home, engine)
        registry.change_status(registry.list_rows(LITELLM_REQUESTS, LANDED), SUPERSEDED, "accepted as lost")
    assert counted(home, LITELLM_REQUESTS) == []
    pin(home, code_fingerprint="v1")
    assert dict(counted(home, LITELLM_REQUESTS))["row_count"] == 1


def test_many_landings_leave_few_files(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ingest.control_totals._MOST_FILES", 3)
    configure(home, LOG_SOURCE)
    for number in range(1, 9):
        write(home.path / f"logs/{number}.jsonl", request(f"r{number}"))
        land(home)
        assert len(lake.list_files(home, CONTROL_TOTALS)) <= 3
    assert dict(counted(home, LITELLM_REQUESTS))["row_count"] == 8


@pytest.mark.parametrize("name", sorted({kind.table.name for kind in KINDS.values()}))
def test_every_table_can_be_counted_whatever_its_numbers_are(home: Home, name: str) -> None:
    table = landing_tables()[name]
    largest = {
        "bigint": "9223372036854775807",
        "double": "1e308",
        "decimal(38, 18)": "99999999999999999999.5",
        "decimal(18, 9)": "999999999.5",
        "boolean": "true",
        "date": "date '2026-05-01'",
        "timestamp": "timestamp '2026-05-01'",
        "varchar": "'text'",
    }
    for form in ("{}", "-({})", "null"):
        columns: list[str] = []
        for field in table.schema:
            engine_type = lake.name_engine_type(field.type)
            is_number = engine_type.startswith(("bigint", "double", "decimal"))
            value = form.format(largest[engine_type]) if is_number else largest[engine_type]
            columns.append(f"cast({value} as {engine_type}) as {field.name}")
        with lake.open_engine(home) as engine:
            figures = select_figures(table, "k", f"select {', '.join(columns)} from range(3)")
            found = engine.execute(f"select total from ({figures}) where measure = 'row_count'").fetchall()
        assert found == [(3,)]


def test_every_measure_is_of_a_table_that_is_landed() -> None:
    assert MEASURES.keys() <= {kind.table.name for kind in KINDS.values()}
