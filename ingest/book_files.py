"""Books as Delta tables that only grow. What a book says cannot be derived again, so a damaged one is never read."""

import hashlib
import os
import time

import pyarrow as pa
import pyarrow.parquet as pq
from deltalake import DeltaTable

from ingest import lake, stock
from ingest.contracts import LandingTable
from ingest.home import Home, hold_lock


def name_book(name: str) -> LandingTable:
    """A book as a table, whatever its columns."""
    return LandingTable(name=f"book_{name}", columns=(), partition=None, is_book=True)


def append_book(home: Home, name: str, rows: pa.Table) -> None:
    """Append rows to a book. The first rows declare its columns, later ones may add. Raises `LakeError`."""
    if rows.num_rows == 0:
        return
    with hold_lock(home):
        _open_whole(home, name)
        folder = home.books_dir / name
        table = name_book(name)
        delta = lake.open_or_create(folder, table, rows.schema)
        home.scratch_dir.mkdir(parents=True, exist_ok=True)
        written = home.scratch_dir / f"book-{name}-{os.getpid()}-{time.time_ns()}.parquet"
        pq.write_table(rows, written, compression="zstd")
        # The version makes each append a file of its own, even of rows that were appended before.
        content = hashlib.sha256(written.read_bytes()).hexdigest()[:16]
        file = lake.NewFile(f"{delta.version() + 1:08d}-{content}.parquet", written, rows.num_rows, None)
        lake.commit(delta, table, [lake.place_file(folder, table, file, int(time.time() * 1000))])
        lake.write_stock(home, table)


def read_book(home: Home, name: str) -> pa.Table | None:
    """All rows of a book in the order they were appended; None when nothing was. Raises `LakeError`."""
    delta = _open_whole(home, name)
    if delta is None:
        return None
    folder = home.books_dir / name
    schema = pa.schema(delta.schema().to_arrow())
    files = sorted(lake.read_file_list(delta, folder, None), key=lambda file: file.path)
    try:
        rows = [schema.empty_table(), *(pq.read_table(file.absolute) for file in files)]
    except (OSError, pa.ArrowException) as error:
        raise lake.LakeError(describe_lost_book(home, name_book(name), str(error))) from error
    return pa.concat_tables(rows, promote_options="default")


def describe_lost_book(home: Home, book: LandingTable, what: str) -> str:
    """What is wrong with a book, and the only two ways on."""
    return (
        f"{lake.get_table_dir(home, book)} is damaged: {what}. What a book says cannot be derived again: restore it "
        f"from a backup of {home.books_dir}. If there is none, delete {stock.get_stock_path(home, book)} and what is "
        "left of the book: what it said (closed months, emails sent, versions of the config) is then unknown."
    )


def _open_whole(home: Home, name: str) -> DeltaTable | None:
    """A book as it was left; None when nothing was ever written to it."""
    folder = home.books_dir / name
    kept = stock.read_stock(home, name_book(name))
    try:
        delta = DeltaTable(folder) if (folder / "_delta_log").is_dir() else None
    except Exception as error:  # delta-rs has no common class for what it says of a broken log
        raise lake.LakeError(describe_lost_book(home, name_book(name), str(error))) from error
    known = {file.path for file in kept.files} if kept else set()
    found = set() if delta is None else {file.path for file in lake.read_file_list(delta, folder, None)}
    if missing := known - found:
        what = f"its log names {len(found)} files, without {len(missing)} that it had, such as {min(missing)}"
        raise lake.LakeError(describe_lost_book(home, name_book(name), what))
    return delta
