"""Publishing: one build in file and Parquet, readers undisturbed, a kill at any point repaired by the next call."""

import os
import shutil
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path

import duckdb
import pytest

from delivery.marts import MartsError, open_marts
from delivery.publish import PublishError, is_published, publish, read_build_id

DAY = date(2026, 3, 10)
DATA_THROUGH = {"aws-focus": datetime(2026, 3, 11, tzinfo=UTC), "gateway": datetime(2026, 3, 10, 18, tzinfo=UTC)}
REPOSITORY = Path(__file__).resolve().parents[2]
# 64 is the storage version of DuckDB 1.0 and 1.1; it stands in the file's header after the checksum and "DUCK".
OLDEST_STORAGE_VERSION = 64


def read_parquet_build(published: Path) -> str:
    (row,) = duckdb.sql(
        f"select any_value(build_id) from read_parquet('{published}/parquet/build_info.parquet')"
    ).fetchall()
    return row[0]


def test_every_mart_is_published_with_its_comments_and_the_build(warehouse: Path, tmp_path: Path) -> None:
    report = publish(warehouse, tmp_path / "out", build_id="b1", data_through=DATA_THROUGH)
    assert report.row_counts["fct_chargeback_daily"] == 33
    assert report.tables == tuple(sorted(path.stem for path in (tmp_path / "out" / "parquet").iterdir()))
    with duckdb.connect(str(tmp_path / "out" / "marts.duckdb"), read_only=True) as connection:
        comments = connection.sql("select comment from duckdb_tables() where table_name = 'fct_chargeback_daily'")
        assert comments.fetchall() == [("One row per day, team, cost centre and pool: what's charged",)]
        columns = connection.sql("select comment from duckdb_columns() where column_name = 'effective_cost_usd'")
        assert ("Effective cost, USD",) in columns.fetchall()
        builds = connection.sql("select build_id, source_name, data_through_at from build_info order by source_name")
        assert builds.fetchall() == [
            ("b1", "aws-focus", datetime(2026, 3, 11)),
            ("b1", "gateway", datetime(2026, 3, 10, 18)),
        ]
        types = connection.sql(
            "select data_type from duckdb_columns() where column_name = 'billed_cost_usd'"
        ).fetchall()
        assert ("DECIMAL(18,9)",) in types


def test_the_file_has_the_oldest_storage_version(published: Path) -> None:
    header = (published / "marts.duckdb").read_bytes()[:20]
    assert header[8:12] == b"DUCK"
    assert int.from_bytes(header[12:20], "little") == OLDEST_STORAGE_VERSION


def test_a_build_that_is_published_already_is_left_as_it_is(warehouse: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert publish(warehouse, out, build_id="b1", data_through={}).is_new
    before = {path: path.stat().st_mtime_ns for path in sorted(out.rglob("*"))}
    again = publish(warehouse, out, build_id="b1", data_through={})
    assert not again.is_new
    assert again.row_counts["fct_cost_ledger"] == 33
    assert {path: path.stat().st_mtime_ns for path in sorted(out.rglob("*"))} == before


def test_the_folder_before_is_kept_and_older_ones_go(warehouse: Path, tmp_path: Path) -> None:
    for build_id in ("b1", "b2", "b3"):
        publish(warehouse, tmp_path / "out", build_id=build_id, data_through={})
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert names == ["marts.duckdb", "parquet", "parquet-b2", "parquet-b3"]
    assert (tmp_path / "out" / "parquet").readlink() == Path("parquet-b3")


def test_a_reader_with_the_old_file_open_is_undisturbed(warehouse: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    publish(warehouse, out, build_id="b1", data_through={})
    with open_marts(out) as old:
        with duckdb.connect(str(warehouse)) as connection:
            connection.execute("delete from marts.fct_cost_ledger")
        publish(warehouse, out, build_id="b2", data_through={})
        assert old.build.build_id == "b1"
        assert old.fetch_table("select count(*) from fct_cost_ledger")[1] == [(33,)]
        with open_marts(out) as new:
            assert new.build.build_id == "b2"
            assert new.fetch_table("select count(*) from fct_cost_ledger")[1] == [(0,)]


def test_readers_in_a_loop_see_one_whole_build_while_publishes_run(
    tmp_path: Path, write_warehouse: Callable[..., None]
) -> None:
    """Each build doubles all money, so that a table of another build breaks the sums that must agree."""
    warehouses = [tmp_path / f"w{number}.duckdb" for number in range(2)]
    for number, warehouse in enumerate(warehouses):
        usd = str(10 * (number + 1))
        write_warehouse(warehouse, [(DAY, "research", "cluster_nodes", "Amazon EC2", usd, False)] * 50)
    out = tmp_path / "out"
    publish(warehouses[0], out, build_id="b0", data_through={})
    reader = subprocess.Popen(
        [sys.executable, "-c", READER, str(out)],
        cwd=REPOSITORY,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    faults: list[str] = []
    seen: set[str] = set()
    stop = threading.Event()
    thread = threading.Thread(target=read_in_loop, args=(out, stop, faults, seen))
    thread.start()
    try:
        for number in range(1, 13):
            publish(warehouses[number % 2], out, build_id=f"b{number}", data_through={})
    finally:
        stop.set()
        thread.join()
        output, _ = reader.communicate("stop\n", timeout=60)
    assert faults == []
    assert len(seen) > 1
    assert reader.returncode == 0, output
    read_count, build_count, *problems = output.split("\n", 2)
    assert problems == [""]
    assert int(read_count) > 5
    assert int(build_count) > 1


def read_in_loop(out: Path, stop: threading.Event, faults: list[str], seen: set[str]) -> None:
    while not stop.is_set():
        try:
            with open_marts(out) as marts:
                ((ledger, chargeback),) = marts.fetch_table(
                    "select (select sum(effective_cost_usd) from fct_cost_ledger), "
                    "(select sum(effective_cost_usd) from fct_chargeback_daily)"
                )[1]
                expected = 1000 if int(marts.build.build_id[1:]) % 2 else 500
                if not ledger == chargeback == expected:
                    faults.append(f"{marts.build.build_id}: ledger {ledger}, chargeback {chargeback}")
                seen.add(marts.build.build_id)
        except Exception as error:
            faults.append(repr(error))


# A process of its own, as a BI tool is: it opens the file by its name, again and again, and each Parquet folder by its
# link, resolved once per read as a reader of a dataset does.
READER = """
import select, sys
from pathlib import Path
import duckdb
out, count, builds, problems = Path(sys.argv[1]), 0, set(), []
while not select.select([sys.stdin], [], [], 0)[0]:
    folder = (out / "parquet").resolve()
    totals = duckdb.sql(f"select (select sum(effective_cost_usd) from '{folder}/fct_cost_ledger.parquet'), "
        f"(select sum(effective_cost_usd) from '{folder}/fct_chargeback_daily.parquet'), "
        f"(select min(build_id) from '{folder}/build_info.parquet')").fetchone()
    with duckdb.connect(str(out / "marts.duckdb"), read_only=True) as connection:
        rows = connection.execute("select (select sum(effective_cost_usd) from fct_cost_ledger), "
            "(select sum(effective_cost_usd) from fct_chargeback_daily), "
            "(select min(build_id) from build_info)").fetchone()
    for ledger, chargeback, build in (totals, rows):
        expected = 1000 if int(build[1:]) % 2 else 500
        if not ledger == chargeback == expected:
            problems.append(f"{build}: {ledger} {chargeback}")
        builds.add(build)
    count += 1
print(count, len(builds), *problems, sep="\\n")
"""


@pytest.mark.parametrize("call_number", range(1, 12))
def test_a_kill_at_any_rename_or_sync_leaves_old_or_new_and_the_next_call_ends_it(
    warehouse: Path, tmp_path: Path, call_number: int
) -> None:
    out = tmp_path / "out"
    publish(warehouse, out, build_id="b1", data_through={})
    killed = subprocess.run([sys.executable, "-c", KILLED, str(warehouse), str(out), str(call_number)], cwd=REPOSITORY)
    assert killed.returncode == 9
    with open_marts(out) as marts:
        assert marts.build.build_id in ("b1", "b2")
        assert marts.fetch_table("select count(*) from fct_cost_ledger")[1] == [(33,)]
    assert read_parquet_build(out) in ("b1", "b2")

    publish(warehouse, out, build_id="b2", data_through={})
    assert read_build_id(out / "marts.duckdb") == read_parquet_build(out) == "b2"
    names = {path.name for path in out.iterdir()}
    assert names <= {"marts.duckdb", "parquet", "parquet-b1", "parquet-b2"}
    publish(warehouse, out, build_id="b3", data_through={})
    assert {path.name for path in out.iterdir()} == {"marts.duckdb", "parquet", "parquet-b2", "parquet-b3"}


# The process ends at the n-th step that a power cut could come before, without unwinding.
KILLED = textwrap.dedent("""
    import os, pathlib, sys
    from delivery import publish as module
    left = [int(sys.argv[3])]
    def count(step):
        def counted(*arguments, **named):
            left[0] -= 1
            if left[0] == 0:
                os._exit(9)
            return step(*arguments, **named)
        return counted
    pathlib.Path.replace = count(pathlib.Path.replace)
    pathlib.Path.rename = count(pathlib.Path.rename)
    pathlib.Path.symlink_to = count(pathlib.Path.symlink_to)
    module._copy_marts = count(module._copy_marts)
    module._write_parquet = count(module._write_parquet)
    module._remove_old_folders = count(module._remove_old_folders)
    sync = module._sync
    module._sync = lambda path: (sync if path.suffix == ".parquet" else count(sync))(path)
    module.publish(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), build_id="b2", data_through={})
""")


def test_a_full_disk_leaves_what_was_published(
    warehouse: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    publish(warehouse, out, build_id="b1", data_through={})

    def refuse(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", refuse)
        with pytest.raises(PublishError, match=r"b2 was not published.*No space left"):
            publish(warehouse, out, build_id="b2", data_through={})
    assert read_build_id(out / "marts.duckdb") == read_parquet_build(out) == "b1"
    assert {path.name for path in out.iterdir()} == {"marts.duckdb", "parquet", "parquet-b1"}


def test_hostile_names_and_comments_are_text_and_nothing_else(tmp_path: Path) -> None:
    warehouse = tmp_path / "it's; a warehouse.duckdb"
    with duckdb.connect(str(warehouse)) as connection:
        connection.execute('create schema marts; create table marts."a""; drop schema marts; --" as select 1 as "x\'y"')
        connection.execute('comment on column marts."a""; drop schema marts; --"."x\'y" is \'\'\'; drop table a; --\'')
    report = publish(
        warehouse, tmp_path / "o'ut", build_id="b1", data_through={"s'; --": datetime(2026, 1, 1, tzinfo=UTC)}
    )
    assert report.row_counts == {'a"; drop schema marts; --': 1, "build_info": 1}


def test_nothing_to_publish_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(PublishError, match=r"no warehouse to publish from; build it first"):
        publish(tmp_path / "none.duckdb", tmp_path / "out", build_id="b1", data_through={})
    with duckdb.connect(str(tmp_path / "empty.duckdb")) as connection:
        connection.execute("create schema marts")
    with pytest.raises(PublishError, match="schema marts holds no table"):
        publish(tmp_path / "empty.duckdb", tmp_path / "out", build_id="b1", data_through={})
    with pytest.raises(PublishError, match="names a folder"):
        publish(tmp_path / "empty.duckdb", tmp_path / "out", build_id="../b1", data_through={})


def test_a_reader_of_an_unpublished_home_is_told_so(tmp_path: Path) -> None:
    with pytest.raises(MartsError, match="nothing is published yet"), open_marts(tmp_path):
        pass
    (tmp_path / "marts.duckdb").write_bytes(b"no database")
    with pytest.raises(MartsError, match="expected a DuckDB file of marts"), open_marts(tmp_path):
        pass


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-9])


def point_elsewhere(link: Path) -> None:
    link.unlink()
    link.symlink_to("parquet-gone")


@pytest.mark.parametrize(
    "spoil",
    [
        lambda out: (out / "marts.duckdb").unlink(),
        lambda out: (out / "marts.duckdb").write_bytes(b"garbage" * 1000),
        lambda out: (out / "marts.duckdb").write_bytes(b""),
        lambda out: (out / "parquet").unlink(),
        lambda out: point_elsewhere(out / "parquet"),
        lambda out: shutil.rmtree(out / "parquet-b1"),
        lambda out: (out / "parquet" / "fct_cost_ledger.parquet").unlink(),
        lambda out: truncate(out / "parquet" / "fct_cost_ledger.parquet"),
        lambda out: (out / "parquet" / "fct_cost_ledger.parquet").write_bytes(b""),
        lambda out: shutil.copy(out / "parquet/build_info.parquet", out / "parquet/fct_cost_ledger.parquet"),
        lambda out: shutil.rmtree(out),
    ],
)
def test_what_is_not_whole_is_published_again(warehouse: Path, tmp_path: Path, spoil: Callable[[Path], object]) -> None:
    out = tmp_path / "out"
    publish(warehouse, out, build_id="b1", data_through={})
    assert is_published(out, "b1")
    spoil(out)
    assert not is_published(out, "b1")
    assert publish(warehouse, out, build_id="b1", data_through={}).is_new
    assert is_published(out, "b1")
    ledger = f"select count(*) from read_parquet('{out}/parquet/fct_cost_ledger.parquet')"
    assert duckdb.sql(ledger).fetchall() == [(33,)]


def test_a_folder_with_brackets_and_quotes_in_its_path_is_known_to_be_published(
    warehouse: Path, tmp_path: Path
) -> None:
    out = tmp_path / "it's [one] home" / "out"
    publish(warehouse, out, build_id="b1", data_through={})
    assert is_published(out, "b1")
