"""The lake is broken on purpose, table by table: the next landing restores it, or says what it cannot restore."""

import logging
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from ingest import lake
from ingest.book_files import append_book, read_book
from ingest.contracts import DATED_FACTS, DELIVERIES, FOCUS_CHARGES, LITELLM_REQUESTS, QUARANTINE, LandingTable
from ingest.home import Home, create_home
from ingest.lake import LakeError
from ingest.landing import land
from ingest.stock import get_stock_path
from ingest.stocktaking import LostRowsError, accept_lost, list_damages, require_whole
from tests.ingest.landed import FOCUS_SOURCE, LOG_SOURCE, bill, configure, find, query, request, write

GARBAGE = b"no such thing \xff\x00" * 50
RECIPIENTS = DATED_FACTS["recipients"]
TABLES = (FOCUS_CHARGES, LITELLM_REQUESTS, RECIPIENTS, DELIVERIES, QUARANTINE)


@pytest.fixture(autouse=True)
def hear_repairs(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, logger="wattledger")


@pytest.fixture(scope="module")
def landed_once(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """Two bills, logs landed in two batches that have a day in common, a refused row, a config table."""
    home = create_home(tmp_path_factory.mktemp("landed") / "home")
    configure(home, FOCUS_SOURCE, LOG_SOURCE)
    write(home.path / "exports/a/may.csv", bill("1.5", "2.5"))
    write(home.path / "exports/b/june.csv", bill("3", month=6))
    recipients = home.config_dir / "recipients.csv"
    recipients.write_text(recipients.read_text() + "ml,ml@example.com,2026-05-01,\n")
    write(home.path / "logs/a.jsonl", f"{request('r1')}\n{request('r2', day=2)}\n")
    assert not land(home).has_refusals
    write(home.path / "logs/b.jsonl", f"{request('r3')}\nnot json\n")
    assert not land(home).has_refusals
    return home


@pytest.fixture
def full_home(landed_once: Home, tmp_path: Path) -> Home:
    home = Home(tmp_path / "home")
    shutil.copytree(landed_once.path, home.path)
    return home


def read_all(home: Home) -> dict[str, list[Any]]:
    """What the tables say, without when it was written down."""
    focus = "resource_id, billed_cost, _object, _position"
    registry = "object_uri, status, rows_read, rows_landed, rows_quarantined"
    return {
        "focus": sorted(query(home, FOCUS_CHARGES, focus)),
        "logs": sorted(query(home, LITELLM_REQUESTS, "request_id, usage_date, _object, _position")),
        "recipients": query(home, RECIPIENTS, "team_id, email"),
        "registry": sorted(query(home, DELIVERIES, registry), key=str),
        "quarantine": sorted(query(home, QUARANTINE, "object_uri, position, reason")),
    }


def get_log(home: Home, table: LandingTable) -> Path:
    return lake.get_table_dir(home, table) / "_delta_log"


def find_newest_commit(home: Home, table: LandingTable) -> Path:
    return max(get_log(home, table).glob("*.json"))


def find_file(home: Home, table: LandingTable) -> Path:
    return lake.list_files(home, table)[0].absolute


def spoil_middle(path: Path) -> None:
    content = bytearray(path.read_bytes())
    half = len(content) // 2
    content[half] ^= 255
    path.write_bytes(content)


DAMAGES: dict[str, Callable[[Home, LandingTable], object]] = {
    "folder deleted": lambda home, table: shutil.rmtree(lake.get_table_dir(home, table)),
    "log deleted": lambda home, table: shutil.rmtree(get_log(home, table)),
    "newest commit deleted": lambda home, table: find_newest_commit(home, table).unlink(),
    "newest commit garbage": lambda home, table: find_newest_commit(home, table).write_bytes(GARBAGE),
    "newest commit empty": lambda home, table: find_newest_commit(home, table).write_bytes(b""),
    "first commit deleted": lambda home, table: min(get_log(home, table).glob("*.json")).unlink(),
    "a later commit of garbage": lambda home, table: (get_log(home, table) / f"{99:020}.json").write_bytes(GARBAGE),
    "file deleted": lambda home, table: find_file(home, table).unlink(),
    "file empty": lambda home, table: find_file(home, table).write_bytes(b""),
    "file cut off": lambda home, table: find_file(home, table).write_bytes(find_file(home, table).read_bytes()[:-30]),
    "file garbage": lambda home, table: find_file(home, table).write_bytes(GARBAGE),
    "a byte of a file": lambda home, table: spoil_middle(find_file(home, table)),
}


CASES = [
    *((table, damage) for table in (FOCUS_CHARGES, LITELLM_REQUESTS, DELIVERIES) for damage in DAMAGES),
    *((table, damage) for table in (RECIPIENTS, QUARANTINE) for damage in ("folder deleted", "file cut off")),
]


@pytest.mark.parametrize(("table", "damage"), CASES, ids=lambda case: getattr(case, "name", case))
def test_the_next_landing_restores_a_damaged_table(
    full_home: Home, caplog: pytest.LogCaptureFixture, table: LandingTable, damage: str
):
    before = read_all(full_home)
    assert list_damages(full_home, deep=True) == []
    DAMAGES[damage](full_home, table)
    (found,) = list_damages(full_home)
    assert found.table is table
    with pytest.raises(LostRowsError, match="The lake is not what it was left as"):
        require_whole(full_home)
    report = land(full_home)
    assert not report.has_refusals
    assert any(str(found) in said for said in caplog.messages), caplog.messages
    assert read_all(full_home) == before
    assert list_damages(full_home, deep=True) == []
    require_whole(full_home)


def test_a_landing_after_a_repair_is_quiet(full_home: Home, caplog: pytest.LogCaptureFixture):
    before = read_all(full_home)
    for table in TABLES:
        find_file(full_home, table).unlink()
        find_newest_commit(full_home, table).unlink()
    land(full_home)
    assert caplog.messages
    caplog.clear()
    assert not land(full_home).has_refusals
    assert caplog.messages == []
    assert read_all(full_home) == before


def test_the_whole_lake_may_be_deleted(full_home: Home):
    before = read_all(full_home)
    shutil.rmtree(full_home.lake_dir)
    shutil.rmtree(full_home.quarantine_dir)
    assert not land(full_home).has_refusals
    assert read_all(full_home) == before


@pytest.mark.parametrize("table", [FOCUS_CHARGES, LITELLM_REQUESTS], ids=lambda table: table.name)
def test_what_the_source_no_longer_has_is_named_and_nothing_is_built_until_it_is_accepted(
    full_home: Home, table: LandingTable
):
    before = read_all(full_home)
    gone = full_home.path / ("exports/b/june.csv" if table is FOCUS_CHARGES else "logs/b.jsonl")
    source = "bills" if table is FOCUS_CHARGES else "gateway"
    kept = gone.read_bytes()
    gone.unlink()
    shutil.rmtree(lake.get_table_dir(full_home, table))
    report = land(full_home)
    assert report.has_refusals
    (said,) = [text for text in find(report, source).messages if "lost" in text]
    assert said == f"1 row of 1 object lost and not read again: {gone.relative_to(full_home.path)}"
    with pytest.raises(LostRowsError, match=f"{source}: {said}[^$]*accept SOURCE --reason"):
        require_whole(full_home)
    write(gone, kept)
    assert not land(full_home).has_refusals
    require_whole(full_home)
    assert read_all(full_home) == before

    gone.unlink()
    shutil.rmtree(lake.get_table_dir(full_home, table))
    land(full_home)
    assert accept_lost(full_home, source, "the store was wiped") == 1
    require_whole(full_home)
    assert not land(full_home).has_refusals
    (row,) = [row for row in query(full_home, DELIVERIES, "object_uri, status, message") if row[1] == "superseded"]
    assert row[0] == str(gone.relative_to(full_home.path)) and "the store was wiped" in row[2]


def test_an_object_that_is_gone_from_the_source_but_not_from_the_lake_is_not_lost(full_home: Home):
    before = read_all(full_home)["focus"]
    (full_home.path / "exports/b/june.csv").unlink()
    (may,) = [file for file in lake.list_files(full_home, FOCUS_CHARGES) if "2026-05" in file.path]
    may.absolute.unlink()
    assert not land(full_home).has_refusals
    assert read_all(full_home)["focus"] == before


def test_half_a_bill_whose_other_half_is_gone_is_not_landed(home: Home):
    configure(home, FOCUS_SOURCE)
    write(home.path / "exports/a/part-1.csv", bill("1"))
    write(home.path / "exports/a/part-2.csv", bill("2"))
    assert not land(home).has_refusals
    (home.path / "exports/a/part-1.csv").unlink()
    shutil.rmtree(lake.get_table_dir(home, FOCUS_CHARGES))
    assert land(home).has_refusals
    with pytest.raises(LostRowsError, match=r"exports/a/part-1\.csv"):
        require_whole(home)


def test_a_lost_object_that_is_spoiled_at_the_source_stays_lost(full_home: Home):
    write(full_home.path / "exports/b/june.csv", bill("no number", month=6))
    shutil.rmtree(lake.get_table_dir(full_home, FOCUS_CHARGES))
    assert land(full_home).has_refusals
    with pytest.raises(LostRowsError, match=r"1 row of 1 object lost and not read again: exports/b/june\.csv"):
        require_whole(full_home)


def test_a_home_of_an_earlier_release_is_taken_as_it_is(full_home: Home, caplog: pytest.LogCaptureFixture):
    before = read_all(full_home)
    for table in TABLES:
        get_stock_path(full_home, table).unlink()
    assert list_damages(full_home, deep=True) == []
    assert not land(full_home).has_refusals
    assert caplog.messages == []
    assert read_all(full_home) == before
    assert all(get_stock_path(full_home, table).is_file() for table in TABLES)


@pytest.mark.parametrize("table", [FOCUS_CHARGES, LITELLM_REQUESTS], ids=lambda table: table.name)
def test_rows_that_are_gone_with_the_stock_are_found_by_the_registry(
    full_home: Home, caplog: pytest.LogCaptureFixture, table: LandingTable
):
    before = read_all(full_home)
    get_stock_path(full_home, table).write_bytes(GARBAGE)
    find_newest_commit(full_home, table).unlink()
    assert not land(full_home).has_refusals
    assert any("holds fewer rows than were landed" in said for said in caplog.messages), caplog.messages
    assert read_all(full_home) == before


def append(home: Home, name: str) -> None:
    append_book(home, "events", pa.table({"name": [name]}))


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_book_is_restored_or_stops_everything_and_is_never_empty(
    full_home: Home, caplog: pytest.LogCaptureFixture, damage: str
):
    book = LandingTable("book_events", (), None, is_book=True)
    for name in ("one", "two"):
        append(full_home, name)
    DAMAGES[damage](full_home, book)
    if damage in ("file deleted", "file empty", "file cut off", "file garbage", "a byte of a file", "folder deleted"):
        for act in (lambda: land(full_home), lambda: require_whole(full_home)):
            with pytest.raises((LakeError, LostRowsError), match=r"books/events"):
                act()
        if (
            damage != "a byte of a file"
        ):  # the landing before it has told; a byte shows to who looks at times and hashes
            with pytest.raises(LakeError, match=r"books/events is damaged.*restore it from a backup"):
                read_book(full_home, "events")
    else:
        if damage != "a later commit of garbage":
            with pytest.raises(LakeError, match=r"books/events is damaged"):
                append(full_home, "three")
        assert not land(full_home).has_refusals
        assert any("its log was written anew; every row of it is there" in said for said in caplog.messages)
        rows = read_book(full_home, "events")
        assert rows is not None and rows["name"].to_pylist() == ["one", "two"]
        append(full_home, "three")
        assert list_damages(full_home, deep=True) == []


def test_all_books_deleted_stop_the_landing(full_home: Home):
    shutil.rmtree(full_home.books_dir)
    with pytest.raises(LakeError, match="config_versions is damaged"):
        land(full_home)


def test_a_config_table_is_restored_from_the_book_when_its_file_is_refused_now(full_home: Home):
    select = ", ".join(name for name in RECIPIENTS.schema.names if name != "_object")
    before = query(full_home, RECIPIENTS, select)
    assert before
    (full_home.config_dir / "recipients.csv").write_text("team_id,email\nml,no address,,,,\n")
    shutil.rmtree(lake.get_table_dir(full_home, RECIPIENTS))
    assert land(full_home).has_refusals
    assert query(full_home, RECIPIENTS, select) == before


@pytest.mark.parametrize("table", [FOCUS_CHARGES, LITELLM_REQUESTS], ids=lambda table: table.name)
def test_a_repair_that_was_cut_short_is_begun_again(full_home: Home, table: LandingTable):
    before = read_all(full_home)
    find_file(full_home, table).write_bytes(GARBAGE)
    in_the_way = write(full_home.lake_dir / "_broken", "")
    with pytest.raises(OSError):
        land(full_home)
    with pytest.raises(LostRowsError):
        require_whole(full_home)
    in_the_way.unlink()
    assert not land(full_home).has_refusals
    assert read_all(full_home) == before
    require_whole(full_home)


def test_a_registry_that_is_gone_with_its_copy_is_told_and_all_is_read_again(
    full_home: Home, caplog: pytest.LogCaptureFixture
):
    before = read_all(full_home)
    (full_home.path / "exports/b/june.csv").unlink()
    shutil.rmtree(full_home.lake_dir / "deliveries")
    shutil.rmtree(full_home.books_dir / "_stock")
    assert not land(full_home).has_refusals
    (said,) = [text for text in caplog.messages if "all that the sources have is read again" in text]
    assert said.startswith(str(full_home.lake_dir / "deliveries"))
    after = read_all(full_home)
    assert {name: after[name] for name in ("focus", "logs", "quarantine")} == {
        name: before[name] for name in ("focus", "logs", "quarantine")
    }
    caplog.clear()
    land(full_home)
    assert caplog.messages == []
