"""Delta tables change by whole files in one commit; what is killed half-way leaves the old table and can be swept."""

import os
import subprocess
import sys
from datetime import UTC, date, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable

from ingest import book_files, lake
from ingest.contracts import COUNT, TEXT, LandingTable
from ingest.home import Home, LockHeldError

REPOSITORY = Path(__file__).resolve().parents[2]
TABLE = LandingTable(name="visits", columns=(("place", TEXT), ("visit_count", COUNT)), partition="usage_date")


def make_file(
    home: Home, day: int, slice_id: str, *places: str, content: str = "c1", table: LandingTable = TABLE
) -> lake.NewFile:
    partition_date = date(2026, 5, day)
    rows = [{"place": place, "visit_count": 1, "_object": f"o-{place}"} for place in places]
    schema = pa.schema([field for field in table.schema if field.name != table.partition])
    written = home.scratch_dir / f"{slice_id}-{day}-{content}.parquet"
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), written)
    objects = sorted(row["_object"] for row in rows)
    path = lake.name_file(table, slice_id, content, partition_date)
    return lake.NewFile(path, written, len(rows), partition_date, str(objects[0]), str(objects[-1]))


def read_places(home: Home, table: LandingTable = TABLE) -> list[tuple[str, date]]:
    with lake.open_engine(home) as engine:
        sql = lake.select_files_sql(engine, table, lake.list_files(home, table))
        return engine.execute(f"select place, usage_date from ({sql}) order by all").fetchall()


def test_a_swap_is_one_commit_and_other_files_stay(home: Home) -> None:
    lake.swap_files(home, TABLE, [make_file(home, 1, "s1", "a"), make_file(home, 2, "s1", "b")], [])
    first = lake.read_version(home, TABLE)
    assert first is not None
    (old,) = [file for file in lake.list_files(home, TABLE) if file.partition_date == date(2026, 5, 1)]
    kept = (home.lake_dir / "visits/usage_date=2026-05-02/s1-c1.parquet").stat().st_mtime_ns
    assert lake.swap_files(home, TABLE, [make_file(home, 1, "s1", "z", content="c2")], [old])
    assert lake.read_version(home, TABLE) == first + 1
    assert read_places(home) == [("b", date(2026, 5, 2)), ("z", date(2026, 5, 1))]
    assert (home.lake_dir / "visits/usage_date=2026-05-02/s1-c1.parquet").stat().st_mtime_ns == kept


def test_the_same_file_again_is_no_commit(home: Home) -> None:
    lake.swap_files(home, TABLE, [make_file(home, 1, "s1", "a")], [])
    version = lake.read_version(home, TABLE)
    again = make_file(home, 1, "s1", "a")
    assert not lake.swap_files(home, TABLE, [again], lake.list_files(home, TABLE))
    assert lake.read_version(home, TABLE) == version
    assert not again.written.exists()


def test_rows_that_come_back_find_their_old_file(home: Home) -> None:
    lake.swap_files(home, TABLE, [make_file(home, 1, "s1", "a")], [])
    lake.swap_files(home, TABLE, [], lake.list_files(home, TABLE))
    assert read_places(home) == []
    assert lake.swap_files(home, TABLE, [make_file(home, 1, "s1", "a")], [])
    assert read_places(home) == [("a", date(2026, 5, 1))]


def test_other_delta_readers_see_the_same_rows(home: Home) -> None:
    lake.swap_files(home, TABLE, [make_file(home, 1, "s1", "a", "b")], [])
    table = DeltaTable(home.lake_dir / "visits").to_pyarrow_table()
    assert table.column("place").to_pylist() == ["a", "b"]
    assert set(table.column("usage_date").to_pylist()) == {date(2026, 5, 1)}


def test_a_contract_that_gained_a_column_reads_old_and_new_files(home: Home) -> None:
    lake.swap_files(home, TABLE, [make_file(home, 1, "s1", "a")], [])
    wider = LandingTable(TABLE.name, (*TABLE.columns, ("city", TEXT)), TABLE.partition)
    with lake.open_engine(home) as engine:
        sql = lake.select_files_sql(engine, wider, lake.list_files(home, wider))
        assert engine.execute(f"select city from ({sql})").fetchall() == [(None,)], "before any file has it"
    lake.swap_files(home, wider, [make_file(home, 2, "s2", "b", table=wider)], [])
    assert read_places(home, wider) == [("a", date(2026, 5, 1)), ("b", date(2026, 5, 2))]
    assert "city" in {field.name for field in DeltaTable(home.lake_dir / "visits").schema().fields}


def test_a_table_never_written_reads_as_typed_and_empty(home: Home) -> None:
    with lake.open_engine(home) as engine:
        sql = lake.select_files_sql(engine, TABLE, [])
        types = {row[0]: row[1] for row in engine.execute(f"describe {sql}").fetchall()}
        assert engine.execute(sql).fetchall() == []
    assert (types["place"], types["visit_count"], types["usage_date"]) == ("VARCHAR", "BIGINT", "DATE")


def test_paths_with_spaces_quotes_and_brackets_are_read(tmp_path: Path) -> None:
    home = Home(tmp_path / "it's [one] home")
    for folder in home.folders:
        folder.mkdir(parents=True)
    lake.swap_files(home, TABLE, [make_file(home, 1, "s1", "a")], [])
    assert read_places(home) == [("a", date(2026, 5, 1))]


def test_a_book_only_grows(home: Home) -> None:
    schema = pa.schema([("name", TEXT), ("landed_at", pa.timestamp("us"))])
    at = datetime(2026, 5, 1, tzinfo=UTC).replace(tzinfo=None)
    for _ in range(12):
        book_files.append_book(home, "events", pa.Table.from_pylist([{"name": "same", "landed_at": at}], schema=schema))
    wider = schema.append(pa.field("why", TEXT))
    book_files.append_book(home, "events", pa.Table.from_pylist([{"name": "last", "why": "x"}], schema=wider))
    book = book_files.read_book(home, "events")
    assert book is not None
    assert [row["name"] for row in book.to_pylist()] == ["same"] * 12 + ["last"]
    assert book.to_pylist()[0]["why"] is None
    assert book_files.read_book(home, "nothing") is None


def test_vacuum_removes_what_no_log_names_and_nothing_else(home: Home) -> None:
    lake.swap_files(home, TABLE, [make_file(home, 1, "s1", "a")], [])
    lake.swap_files(home, TABLE, [make_file(home, 1, "s1", "b", content="c2")], lake.list_files(home, TABLE))
    folder = home.lake_dir / "visits/usage_date=2026-05-01"
    orphan = folder / "s9-dead.parquet"
    orphan.write_bytes(b"half a file")
    (home.scratch_dir / "spool").mkdir()
    (home.scratch_dir / "spool/left.parquet").write_bytes(b"x")
    assert lake.vacuum_orphans(home) >= 2
    assert not orphan.exists()
    assert list(home.scratch_dir.iterdir()) == []
    assert (folder / "s1-c1.parquet").exists(), "a reader that pinned the version before may still have it open"
    assert read_places(home) == [("b", date(2026, 5, 1))]


def test_nobody_writes_while_another_process_does(home: Home) -> None:
    file = make_file(home, 1, "s1", "a")
    holder = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import sys, ingest.home as h\n"
            "with h.hold_lock(h.Home(h.Path(sys.argv[1]))):\n print('held', flush=True); sys.stdin.read()",
            str(home.path),
        ],
        cwd=REPOSITORY,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
    )
    assert holder.stdout is not None
    try:
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(LockHeldError):
            lake.swap_files(home, TABLE, [file], [])
    finally:
        holder.communicate(b"", timeout=20)
    assert lake.swap_files(home, TABLE, [file], [])
