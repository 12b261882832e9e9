"""The only writer of Delta tables: the lake, the quarantine and the books of a home.

Data files are written beside the log first and named by what is in them; then one commit swaps them in and others
out. Readers see the old file list or the new one, and a file whose content did not change is never swapped.
"""

import bisect
import contextlib
import hashlib
import json
import os
import shutil
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Final

import duckdb
import pyarrow as pa
from deltalake import DeltaTable, Schema
from deltalake.transaction import AddAction, RemoveAction

from ingest import stock
from ingest.contracts import COUNT, DATE, FLAG, INSTANT, NUMBER, QUARANTINE, TEXT, LandingTable
from ingest.home import Home, hold_lock

_ENGINE_MEMORY: Final = "1GB"
_ENGINE_TYPES: Final = {
    TEXT: "varchar",
    INSTANT: "timestamp",
    COUNT: "bigint",
    NUMBER: "double",
    FLAG: "boolean",
    DATE: "date",
}
_TOMBSTONE_HOURS: Final = 168


class LakeError(Exception):
    """The lake on disk is not what its log says."""


@dataclass(frozen=True)
class LakeFile:
    """One data file that a table's log names as current."""

    path: str  # relative to the table's folder, as in the log
    absolute: Path
    size_bytes: int
    row_count: int
    partition_date: date | None
    first_object: str | None  # smallest and largest `_object` in the file; None where the table has no such column
    last_object: str | None

    @property
    def slice_id(self) -> str:
        """What the file belongs to: `<partition>=D/<slice>-<content>.parquet`."""
        return Path(self.path).name.partition("-")[0]

    def may_hold(self, sorted_uris: Sequence[str]) -> bool:
        """False when no object of `sorted_uris` can be in the file."""
        if self.first_object is None or self.last_object is None:
            return True
        at = bisect.bisect_left(sorted_uris, self.first_object)
        return at < len(sorted_uris) and sorted_uris[at] <= self.last_object


@dataclass(frozen=True)
class TableState:
    """A table as its log says it is. `table_id` is another one when the table was made anew."""

    table_id: str
    version: int
    table_schema: str
    files: tuple[LakeFile, ...]


@dataclass(frozen=True)
class NewFile:
    """A data file written aside, ready to be committed under `path`."""

    path: str
    written: Path
    row_count: int
    partition_date: date | None
    first_object: str | None = None
    last_object: str | None = None


def get_table_dir(home: Home, table: LandingTable) -> Path:
    """The folder of a landing table, or of a book."""
    if table.is_book:
        return home.books_dir / table.name.removeprefix("book_")
    return home.quarantine_dir if table.name == QUARANTINE.name else home.lake_dir / table.name


def name_file(table: LandingTable, slice_id: str, content_id: str, partition_date: date | None) -> str:
    """The path of a data file inside its table."""
    name = f"{slice_id}-{content_id}.parquet"
    return name if table.partition is None else f"{table.partition}={partition_date}/{name}"


def hash_text(*parts: str) -> str:
    """A short stable id of some texts."""
    return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()[:16]


@contextlib.contextmanager
def open_engine(home: Home) -> Iterator[duckdb.DuckDBPyConnection]:
    """A DuckDB session without a database file: UTC, bounded memory, spilling into the home's scratch folder."""
    scratch = home.scratch_dir / "duckdb"
    scratch.mkdir(parents=True, exist_ok=True)
    connection = duckdb.connect(config={"memory_limit": _ENGINE_MEMORY, "temp_directory": str(scratch)})
    try:
        connection.execute("set TimeZone = 'UTC'; set enable_progress_bar = false")
        yield connection
    finally:
        connection.close()


def name_engine_type(arrow_type: pa.DataType) -> str:
    """The DuckDB type of a contract's column."""
    if pa.types.is_decimal(arrow_type):
        return f"decimal({arrow_type.precision}, {arrow_type.scale})"  # type: ignore[attr-defined]
    return _ENGINE_TYPES[arrow_type]


def quote_text(text: str) -> str:
    """A SQL text literal; only for our own paths, where a statement takes no parameters."""
    return "'" + text.replace("'", "''") + "'"


def select_files_sql(
    engine: duckdb.DuckDBPyConnection, table: LandingTable, files: Sequence[LakeFile], *extra: str
) -> str:
    """A select of every contract column, typed, over the Parquet of `files`; `extra` may add `filename`.

    Columns that no file has yet are null; with no file at all there are no rows.
    """
    columns = [(field.name, name_engine_type(field.type)) for field in table.schema]
    if not files:
        typed = [f"null::{kind} as {name}" for name, kind in columns] + [f"null::varchar as {name}" for name in extra]
        return f"select {', '.join(typed)} where false"
    paths = ", ".join(quote_text(str(file.absolute)) for file in files)
    hive = (
        f"hive_partitioning = true, hive_types = {{{table.partition}: date}}"
        if table.partition
        else ("hive_partitioning = false")
    )
    scan = f"read_parquet([{paths}], union_by_name = true, {hive}{', filename = true' if extra else ''})"
    present = {row[0] for row in engine.execute(f"describe select * from {scan}").fetchall()}
    selected = [name if name in present else f"null::{kind} as {name}" for name, kind in columns]
    return f"select {', '.join([*selected, *extra])} from {scan}"


def list_files(home: Home, table: LandingTable) -> list[LakeFile]:
    """The current data files of a table by path; none when it was never written."""
    folder = get_table_dir(home, table)
    if not (folder / "_delta_log").is_dir():
        return []
    return read_file_list(DeltaTable(folder), folder, table.partition)


def read_version(home: Home, table: LandingTable) -> int | None:
    """The version of a table's log; None when it was never written."""
    folder = get_table_dir(home, table)
    return DeltaTable(folder).version() if (folder / "_delta_log").is_dir() else None


def read_state(home: Home, table: LandingTable) -> TableState | None:
    """A table as its log says it is; None when it was never written. Raises what delta-rs says of a broken log."""
    folder = get_table_dir(home, table)
    if not (folder / "_delta_log").is_dir():
        return None
    delta = DeltaTable(folder)
    files = read_file_list(delta, folder, table.partition)
    return TableState(str(delta.metadata().id), delta.version(), delta.schema().to_json(), tuple(files))


def write_stock(home: Home, table: LandingTable) -> None:
    """Write down what a table holds now, so that a later loss is noticed."""
    state = read_state(home, table)
    if state is not None:
        stock.take_stock(
            home,
            table,
            state.files,
            table_id=state.table_id,
            version=state.version,
            table_schema=state.table_schema,
            known=stock.read_stock(home, table),
        )


def create_table(home: Home, table: LandingTable, table_schema: str | None) -> None:
    """Begin the log of a table anew, without any file, whatever files its folder has."""
    folder = get_table_dir(home, table)
    schema = table.schema if table_schema is None else Schema.from_json(table_schema)
    folder.mkdir(parents=True, exist_ok=True)
    DeltaTable.create(folder, schema, partition_by=[table.partition] if table.partition else None)


def swap_files(home: Home, table: LandingTable, add: Sequence[NewFile], remove: Sequence[LakeFile]) -> bool:
    """Put `add` in and take `remove` out in one commit; False when that changes nothing.

    A path that is both added and removed, or is current already, stays as it is. The caller's written files are gone
    afterwards.
    """
    with hold_lock(home):
        folder = get_table_dir(home, table)
        delta = open_or_create(folder, table)
        current = {file.path: file for file in read_file_list(delta, folder, table.partition)}
        wanted = {file.path: file for file in add}
        fresh = [file for path, file in wanted.items() if path not in current]
        gone = [file for file in remove if file.path in current and file.path not in wanted]
        for file in wanted.values():
            if file.path in current:
                file.written.unlink(missing_ok=True)
        if not fresh and not gone:
            return False
        now_ms = int(time.time() * 1000)
        actions: list[AddAction | RemoveAction] = [place_file(folder, table, file, now_ms) for file in fresh]
        actions += [
            RemoveAction(
                path=file.path,
                data_change=True,
                deletion_timestamp=now_ms,
                size=file.size_bytes,
                partition_values=_partition_values(table, file.partition_date),
            )
            for file in gone
        ]
        commit(delta, table, actions)
        return True


def vacuum_orphans(home: Home) -> int:
    """Delete what a killed run left behind, and files swapped out more than a week ago; returns how many files.

    Under the lock, so that a file without a log entry is nobody's work in progress.
    """
    with hold_lock(home):
        removed = 0
        logs = [
            *home.lake_dir.glob("*/_delta_log"),
            *home.books_dir.glob("*/_delta_log"),
            *home.quarantine_dir.glob("_delta_log"),
        ]
        for log in logs:
            folder = log.parent
            named = _list_named_paths(folder)
            for file in folder.rglob("*.parquet"):
                relative = file.relative_to(folder).as_posix()
                if not relative.startswith("_delta_log/") and relative not in named:
                    file.unlink()
                    removed += 1
            removed += len(DeltaTable(folder).vacuum(retention_hours=_TOMBSTONE_HOURS, dry_run=False))
        if home.scratch_dir.is_dir():
            for entry in home.scratch_dir.iterdir():
                removed += 1
                if entry.is_dir():
                    shutil.rmtree(entry)
                else:
                    entry.unlink()
        return removed


def _list_named_paths(folder: Path) -> set[str]:
    named = {file.path for file in read_file_list(DeltaTable(folder), folder, None)}
    for commit in (folder / "_delta_log").glob("*.json"):
        for line in commit.read_text(encoding="utf-8").splitlines():
            action = json.loads(line)
            for verb in ("add", "remove"):
                if verb in action:
                    named.add(action[verb]["path"])
    return named


def open_or_create(folder: Path, table: LandingTable, schema: pa.Schema | None = None) -> DeltaTable:
    """The table, with every column of the contract: one that gained columns gets them in a commit of its own."""
    wanted = table.schema if schema is None else schema
    if not (folder / "_delta_log").is_dir():
        folder.mkdir(parents=True, exist_ok=True)
        return DeltaTable.create(folder, wanted, partition_by=[table.partition] if table.partition else None)
    delta = DeltaTable(folder)
    known = {field.name for field in delta.schema().fields}
    missing = [field for field in Schema.from_arrow(wanted).fields if field.name not in known]
    if missing:
        delta.alter.add_columns(missing)
        delta = DeltaTable(folder)
    return delta


def read_file_list(delta: DeltaTable, folder: Path, partition: str | None) -> list[LakeFile]:
    # Not file_uris(): it percent-encodes, and DuckDB then looks for files that do not exist.
    rows = pa.table(delta.get_add_actions(flatten=True)).to_pylist()
    files = [
        LakeFile(
            path=row["path"],
            absolute=folder / row["path"],
            size_bytes=row["size_bytes"],
            row_count=row["num_records"],
            partition_date=row[f"partition.{partition}"] if partition else None,
            first_object=row.get("min._object"),
            last_object=row.get("max._object"),
        )
        for row in rows
    ]
    return sorted(files, key=lambda file: file.path)


def _partition_values(table: LandingTable, partition_date: date | None) -> dict[str, str | None]:
    return {} if table.partition is None else {table.partition: str(partition_date)}


def place_file(folder: Path, table: LandingTable, file: NewFile, now_ms: int) -> AddAction:
    target = folder / file.path
    target.parent.mkdir(parents=True, exist_ok=True)
    # The commit must never reach the disk before the file that it names.
    # Rows that come back as they once were find their old file, not vacuumed yet.
    if file.written.exists() or not target.exists():
        with file.written.open("rb") as stream:
            os.fsync(stream.fileno())
        file.written.replace(target)
    directory = os.open(target.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
    statistics: dict[str, object] = {"numRecords": file.row_count, "nullCount": {}}
    if file.first_object is not None and file.last_object is not None:
        statistics["minValues"] = {"_object": file.first_object}
        statistics["maxValues"] = {"_object": file.last_object}
    return AddAction(
        path=file.path,
        size=target.stat().st_size,
        partition_values=_partition_values(table, file.partition_date),
        modification_time=now_ms,
        data_change=True,
        stats=json.dumps(statistics),
    )


def commit(delta: DeltaTable, table: LandingTable, actions: list[AddAction | RemoveAction]) -> None:
    partition_by = [table.partition] if table.partition else None
    delta.create_write_transaction(actions, "append", delta.schema(), partition_by)
