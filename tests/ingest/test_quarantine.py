"""The quarantine names what was refused, once per object, and forgets what was mended."""

from pathlib import Path
from typing import Any

from ingest import lake, quarantine
from ingest.contracts import QUARANTINE
from ingest.home import Home
from ingest.quarantine import QuarantineSpool


def refuse(home: Home, source: str, read: list[str], *entries: tuple[str, int | None, str]) -> bool:
    spool = QuarantineSpool(source, "focus", home.scratch_dir)
    for uri, position, reason in entries:
        spool.add(uri, "row" if position else "object", position, "BilledCost", reason, "x" * 2_000)
    with lake.open_engine(home) as engine:
        return quarantine.replace_entries(home, engine, source, read, spool)


def list_entries(home: Home, columns: str = "source_name, object_uri, position") -> list[tuple[Any, ...]]:
    with lake.open_engine(home) as engine:
        sql = lake.select_files_sql(engine, QUARANTINE, lake.list_files(home, QUARANTINE))
        return engine.execute(f"select {columns} from ({sql}) order by all").fetchall()


def test_entries_of_an_object_are_replaced_when_it_is_read_again(home: Home) -> None:
    refuse(home, "bills", ["a", "b"], ("a", 3, "no amount"), ("a", 4, "no amount"), ("b", None, "empty"))
    refuse(home, "logs", ["a"], ("a", 9, "not JSON"))
    refuse(home, "bills", ["a"], ("a", 7, "no amount"))
    assert list_entries(home) == [("bills", "a", 7), ("bills", "b", None), ("logs", "a", 9)]
    refuse(home, "bills", ["a", "b"])
    assert list_entries(home) == [("logs", "a", 9)]
    refuse(home, "logs", ["a"])
    assert list_entries(home) == []


def test_the_same_refusals_again_are_no_commit(home: Home) -> None:
    assert refuse(home, "bills", ["a"], ("a", 3, "no amount"))
    version = lake.read_version(home, QUARANTINE)
    assert not refuse(home, "bills", ["a"], ("a", 3, "no amount"))
    assert lake.read_version(home, QUARANTINE) == version


def test_what_was_found_is_kept_short_and_many_runs_leave_few_files(home: Home) -> None:
    for number in range(20):
        refuse(home, "bills", [f"o{number}"], (f"o{number}", number + 1, 'it\'s "bad"'))
    assert len(lake.list_files(home, QUARANTINE)) == 1
    assert list_entries(home, "count(*), max(length(found)), any_value(reason)") == [(20, 500, 'it\'s "bad"')]


def test_many_entries_are_spooled_to_disk(home: Home) -> None:
    spool = QuarantineSpool("bills", "focus", home.scratch_dir)
    for number in range(45_000):
        spool.add("a", "row", number + 1, None, "bad")
    assert len(spool.paths) == 2, "memory stays bounded"
    with lake.open_engine(home) as engine:
        quarantine.replace_entries(home, engine, "bills", ["a"], spool)
        assert quarantine.list_objects(home, engine) == {("bills", "a")}
    assert list_entries(home, "count(distinct position)") == [(45_000,)]
    assert [path for path in spool.paths if Path(path).exists()] == []
