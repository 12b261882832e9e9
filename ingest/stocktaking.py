"""Compare every Delta table with what must be in it; restore what can be, and mark what a source must give again.

A log that lost commits is written anew from the stock. A data file that is gone or broken is taken out, and the objects
whose rows it held are marked as lost in the registry, so that the landing under way reads them again.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Final

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from ingest import lake
from ingest.book_files import describe_lost_book
from ingest.book_tables import BOOK_TABLES
from ingest.contracts import BILL_PERIODS, DELIVERIES, LandingTable, landing_tables
from ingest.disposable import REPAIRS, remove
from ingest.home import Home, hold_lock
from ingest.lake import LakeError, TableState
from ingest.registry import LANDED, LOST, SUPERSEDED, Registry, RegistryRow
from ingest.stock import COPIED_TABLES, STOCK_FOLDER, Stock, StockFile, is_sound, read_stock, restore_copy
from ingest.wording import count_words

_ASIDE_FOLDER: Final = "_broken"
_MOST_NAMED: Final = 3


class LostRowsError(Exception):
    """The lake lost rows that no source has given again: what is built from it would be too little."""


@dataclass(frozen=True)
class Damage:
    """What is wrong with one table: its log, files of it, or both."""

    table: LandingTable
    folder: Path
    log_fault: str | None
    files: tuple[StockFile, ...]  # that the table must hold
    broken: tuple[StockFile, ...]  # of these, the ones that are gone or not as they were written
    state: TableState | None  # what the log says; None when it says nothing that can be read
    kept: Stock | None

    @property
    def sound(self) -> list[StockFile]:
        return [file for file in self.files if file not in self.broken]

    def __str__(self) -> str:
        faults = [self.log_fault] if self.log_fault else []
        if self.broken:
            rows = sum(file.row_count for file in self.broken)
            faults.append(
                f"{count_words(len(self.broken), 'file')} with {count_words(rows, 'row')} gone or broken, "
                f"such as {self.broken[0].path}"
            )
        return f"{self.folder}: {'; '.join(faults)}"


def list_damages(home: Home, *, deep: bool = False) -> list[Damage]:
    """What is wrong with the tables of the lake and the books. Fast, by versions, names, sizes and times of files;
    `deep` reads every file. Writes nothing."""
    tables = [*landing_tables().values(), *_list_books(home)]
    return [damage for table in tables if (damage := examine_table(home, table, deep=deep)) is not None]


def examine_table(home: Home, table: LandingTable, *, deep: bool = False) -> Damage | None:
    """What is wrong with a table; None when it holds what it must, as far as that is known."""
    folder = lake.get_table_dir(home, table)
    kept = read_stock(home, table)
    state: TableState | None = None
    fault: str | None = None
    try:
        state = lake.read_state(home, table)
    except Exception as error:  # delta-rs has no common class for what it says of a broken log
        fault = f"its log cannot be read ({_shorten(error)})"
    if fault is None and kept is not None:
        fault = _find_log_fault(state, kept)
    if fault is None and state is None:
        return None
    files = _list_files(state if fault is None else None, kept)
    broken = tuple(file for file in files if not _is_whole(folder, file, deep=deep))
    return Damage(table, folder, fault, files, broken, state, kept) if fault or broken else None


def heal_lake(home: Home) -> None:
    """Make every table hold what it must, or what is left of that. Under the home's lock.

    Each repair is said. Raises `LakeError` when a book is damaged beyond what the rest of the home can restore.
    """
    damages = {damage.table.name: damage for damage in list_damages(home)}
    copied, landed = [], []
    for name, table in landing_tables().items():
        if name in COPIED_TABLES:
            copied += [damages.pop(name)] if name in damages else []
        elif name in damages or (read_stock(home, table) is None and lake.read_state(home, table) is not None):
            landed.append(table)
    for damage in copied:
        _heal_copied(home, damage)
    _tell_lost_registry(home)
    if landed:
        with lake.open_engine(home) as engine:
            registry = Registry(home, engine)
            for table in landed:
                if damage := damages.pop(table.name, None):
                    _heal_landed(home, engine, registry, damage)
                else:
                    _compare_with_registry(home, engine, registry, table)
    for damage in damages.values():
        _heal_book(home, damage)


def write_stocks(home: Home) -> None:
    """Write down what every table holds now. Under the home's lock, when all that was begun is done."""
    for table in (*landing_tables().values(), *_list_books(home)):
        lake.write_stock(home, table)


def require_whole(home: Home) -> None:
    """Raises `LostRowsError` when the lake is damaged or lost rows that nobody accepted as lost."""
    damages = list_damages(home)
    if damages:
        told = "\n".join(f"  {damage}" for damage in damages)
        raise LostRowsError(f"The lake is not what it was left as:\n{told}\n`wattledger land` restores what it can.")
    if lost := describe_lost(home):
        told = "\n".join(f"  {line}" for line in lost.values())
        raise LostRowsError(
            f"The lake lost rows that could not be read again, so nothing is built from it:\n{told}\n"
            "Put the objects back where their source looks, and run again; or accept the loss of a source: `wattledger "
            'accept SOURCE --reason "…"`. What was published stays.'
        )


def list_gaps(home: Home) -> list[str]:
    """Tables that hold fewer rows than the registry says were landed; a table that cannot be read is left out."""
    gaps = []
    with lake.open_engine(home) as engine:
        registry = Registry(home, engine)
        for table in landing_tables().values():
            landed = sum(row.rows_landed for row in registry.list_rows(table, LANDED))
            held = sum(file.row_count for file in lake.list_files(home, table)) if landed else 0
            if held < landed:
                gaps.append(f"{lake.get_table_dir(home, table)}: {held:,} rows, the registry says {landed:,}")
    return gaps


def describe_lost(home: Home) -> dict[str, str]:
    """By source, what the lake lost and no source has given again, in words."""
    with lake.open_engine(home) as engine:
        return {
            name: f"{name}: {describe_lost_rows(rows)}" for name, rows in Registry(home, engine).list_lost().items()
        }


def describe_lost_rows(rows: Sequence[RegistryRow]) -> str:
    """One line: how many objects of a source lost how many rows, and which."""
    uris = sorted({row.object_uri for row in rows})
    more = f" and {len(uris) - _MOST_NAMED:,} more" if len(uris) > _MOST_NAMED else ""
    row_count = sum(row.rows_landed for row in rows)
    return (
        f"{count_words(row_count, 'row')} of {count_words(len(uris), 'object')} lost and not read again: "
        f"{', '.join(uris[:_MOST_NAMED])}{more}"
    )


def accept_lost(home: Home, source_name: str, reason: str) -> int:
    """Take what the lake lost of a source as gone, for a reason that the registry keeps; returns how many objects."""
    with hold_lock(home):
        heal_lake(home)
        with lake.open_engine(home) as engine:
            registry = Registry(home, engine)
            rows = registry.list_lost().get(source_name, [])
            registry.change_status(rows, SUPERSEDED, f"lost by the lake, and accepted as lost: {reason}")
        lake.write_stock(home, DELIVERIES)
        return len({row.object_uri for row in rows})


def _find_log_fault(state: TableState | None, kept: Stock) -> str | None:
    if state is None:
        return "it is gone"
    if state.table_id != kept.table_id:
        return "another table is in its place"
    if state.version < kept.version:
        return f"its log ends at version {state.version}, expected {kept.version}"
    # A later version is what a killed landing committed: then the log is right, and the stock is behind.
    if state.version == kept.version and {file.path for file in state.files} != {file.path for file in kept.files}:
        return f"its log names other files at version {state.version} than it did"
    return None


def _list_files(state: TableState | None, kept: Stock | None) -> tuple[StockFile, ...]:
    """The files that a table must hold: those of its log where that is right, else those of the stock."""
    known = {file.path: file for file in kept.files} if kept else {}
    if state is None:
        return tuple(known.values())
    return tuple(
        known.get(file.path)
        or StockFile(file.path, file.size_bytes, 0, "", file.row_count, file.first_object, file.last_object)
        for file in state.files
    )


def _is_whole(folder: Path, file: StockFile, *, deep: bool) -> bool:
    if file.sha256:
        return is_sound(folder, file, deep=deep)
    path = folder / file.path
    try:
        if path.stat().st_size != file.size_bytes or pq.read_metadata(path).num_rows != file.row_count:
            return False
        if deep:
            pq.ParquetFile(path).read()
    except (OSError, pa.ArrowException):
        return False
    return True


def _heal_copied(home: Home, damage: Damage) -> None:
    """The registry or the quarantine: from the copy that is kept of it."""
    restored = [file for file in damage.broken if restore_copy(home, damage.table, damage.folder, file)]
    lost = [file for file in damage.broken if file not in restored]
    _write_log(home, replace(damage, broken=tuple(lost)))
    REPAIRS.warning("%s: restored from its copy%s.", damage, f", but for {len(lost)} of its files" if lost else "")
    if damage.kept is None or lost:
        REPAIRS.warning("What %s said of the objects is lost: all that sources have is read again.", damage.folder)


def _tell_lost_registry(home: Home) -> None:
    """Without registry, stock and copy nobody knows what was landed: it is said, and everything is read again."""
    if lake.read_state(home, DELIVERIES) is None and read_stock(home, DELIVERIES) is None:
        held = {name for name in landing_tables() if (home.lake_dir / name / "_delta_log").is_dir()}
        if held:
            REPAIRS.warning(
                "%s is gone, and so is its copy, while %s are there: all that the sources have is read again; rows of "
                "objects that they no longer have stay as they are.",
                lake.get_table_dir(home, DELIVERIES),
                count_words(len(held), "table"),
            )


def _heal_landed(home: Home, engine: duckdb.DuckDBPyConnection, registry: Registry, damage: Damage) -> None:
    """First the objects are marked, then the files are taken out: killed in between, all is found again."""
    lost = _mark_lost(engine, registry, damage.table, damage.folder, damage.sound)
    _write_log(home, damage)
    if damage.broken:
        remedy = f"{count_words(lost, 'object')} to be read again" if lost else "what it held is landed again"
    else:
        remedy = "every row of it is there"
    REPAIRS.warning("%s: the table was put in order; %s.", damage, remedy)


def _compare_with_registry(
    home: Home, engine: duckdb.DuckDBPyConnection, registry: Registry, table: LandingTable
) -> None:
    """A table whose stock was never written down, or was lost: what the registry says of it is all there is."""
    state = lake.read_state(home, table)
    held = sum(file.row_count for file in state.files) if state else 0
    if held >= sum(row.rows_landed for row in registry.list_rows(table, LANDED)):
        return
    folder = lake.get_table_dir(home, table)
    lost = _mark_lost(engine, registry, table, folder, _list_files(state, None) if state else ())
    REPAIRS.warning("%s: holds fewer rows than were landed: %s to be read again.", folder, count_words(lost, "object"))


def _heal_book(home: Home, damage: Damage) -> None:
    if damage.broken or damage.kept is None:
        raise LakeError(describe_lost_book(home, damage.table, str(damage).partition(": ")[2]))
    _write_log(home, damage)
    REPAIRS.warning("%s: its log was written anew; every row of it is there.", damage)


def _mark_lost(
    engine: duckdb.DuckDBPyConnection,
    registry: Registry,
    table: LandingTable,
    folder: Path,
    sound: Sequence[StockFile],
) -> int:
    """Mark the objects whose rows are not all in the sound files; returns how many they are."""
    landed = [row for row in registry.list_rows(table, LANDED) if row.rows_landed]
    if table.name in BILL_PERIODS:
        slice_ids = {Path(file.path).name.partition("-")[0] for file in sound}
        lost = [row for row in landed if lake.hash_text(row.slice_key) not in slice_ids]
    else:
        held = _count_rows(engine, [folder / file.path for file in sound]) if landed else {}
        lost = [row for row in landed if held.get(row.object_uri, 0) < row.rows_landed]
    registry.change_status(lost, LOST, "the lake lost its rows")
    return len({row.object_uri for row in lost})


def _count_rows(engine: duckdb.DuckDBPyConnection, paths: Sequence[Path]) -> dict[str, int]:
    if not paths:
        return {}
    listed = ", ".join(lake.quote_text(str(path)) for path in paths)
    sql = f"select _object, count(*) from read_parquet([{listed}], hive_partitioning = false) group by 1"
    return dict(engine.execute(sql).fetchall())


def _write_log(home: Home, damage: Damage) -> None:
    """Let the table's log name the sound files and no others; broken ones are moved out of the way, not deleted."""
    table, state = damage.table, damage.state
    for file in damage.broken:
        _move_aside(home, table, damage.folder / file.path)
    if state is not None and damage.kept is not None and state.table_id != damage.kept.table_id:
        state = None
    if state is None:
        _move_aside(home, table, damage.folder / "_delta_log")
        lake.create_table(home, table, damage.kept.table_schema if damage.kept else None)
    current = {file.path: file for file in state.files} if state else {}
    wanted = {file.path for file in damage.sound}
    added = [_describe_new(damage.folder, file) for file in damage.sound if file.path not in current]
    lake.swap_files(home, table, added, [file for path, file in current.items() if path not in wanted])
    lake.write_stock(home, table)


def _describe_new(folder: Path, file: StockFile) -> lake.NewFile:
    path = Path(file.path)
    day = date.fromisoformat(path.parent.name.partition("=")[2]) if path.parent.name else None
    nowhere = folder / f"{file.path}.new"
    return lake.NewFile(file.path, nowhere, file.row_count, day, file.first_object, file.last_object)


def _move_aside(home: Home, table: LandingTable, path: Path) -> None:
    if not path.exists():
        return
    aside = home.lake_dir / _ASIDE_FOLDER / table.name / path.relative_to(lake.get_table_dir(home, table))
    aside.parent.mkdir(parents=True, exist_ok=True)
    remove(aside)
    path.rename(aside)


def _list_books(home: Home) -> Iterator[LandingTable]:
    """Every book that is there, or must be."""
    names = {f"book_{log.parent.name}" for log in home.books_dir.glob("*/_delta_log")}
    names |= {path.stem for path in (home.lake_dir / STOCK_FOLDER).glob("book_*.json")}
    for name in sorted(names):
        yield BOOK_TABLES.get(name) or LandingTable(name=name, columns=(), partition=None, is_book=True)


def _shorten(error: Exception) -> str:
    return str(error).splitlines()[0][:200] if str(error) else type(error).__name__
