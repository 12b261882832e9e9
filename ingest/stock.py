"""What each Delta table must hold: its version and every file of it, written down after each landing and each booking.

The stock of the lake's tables is kept in HOME/books, that of the books in HOME/lake: whatever folder is lost, the other
one says what was in it. A copy of registry, quarantine and control totals is kept too: no source has those rows.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final, Protocol

from ingest.contracts import CONTROL_TOTALS, DELIVERIES, QUARANTINE, LandingTable
from ingest.disposable import REPAIRS, set_aside
from ingest.home import Home

COPIED_TABLES: Final = (DELIVERIES.name, QUARANTINE.name, CONTROL_TOTALS.name)
STOCK_FOLDER: Final = "_stock"


class TableFile(Protocol):
    """What of a data file is written down: `ingest.lake.LakeFile` is one."""

    @property
    def path(self) -> str: ...
    @property
    def absolute(self) -> Path: ...
    @property
    def row_count(self) -> int: ...
    @property
    def first_object(self) -> str | None: ...
    @property
    def last_object(self) -> str | None: ...


@dataclass(frozen=True, slots=True)
class StockFile:
    """One data file as it was written. `mtime_ns` saves hashing a file that nobody touched."""

    path: str  # relative to the table's folder
    size_bytes: int
    mtime_ns: int
    sha256: str
    row_count: int
    first_object: str | None
    last_object: str | None


@dataclass(frozen=True)
class Stock:
    """A table as it was left. `table_schema` is Delta's own JSON."""

    table_id: str
    version: int
    table_schema: str
    files: tuple[StockFile, ...]


def get_stock_path(home: Home, table: LandingTable) -> Path:
    """Where the stock of a table is written down."""
    kept_in = home.lake_dir if table.is_book else home.books_dir
    return kept_in / STOCK_FOLDER / f"{table.name}.json"


def get_copy_dir(home: Home, table: LandingTable) -> Path:
    """Where the copy of a table is that no source could give again."""
    return get_stock_path(home, table).with_suffix("")


def read_stock(home: Home, table: LandingTable) -> Stock | None:
    """What the table must hold; None when that was never written down, or cannot be read any more."""
    path = get_stock_path(home, table)
    try:
        sealed = json.loads(path.read_bytes())
        if sealed["sha256"] != _hash_text(sealed["stock"]):
            raise ValueError("its hash is another one")
        content = json.loads(sealed["stock"])
        content["files"] = tuple(StockFile(**file) for file in content["files"])
        return Stock(**content)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError, LookupError, TypeError) as error:
        REPAIRS.warning("%s cannot be read (%s): it is now %s.", path, error, set_aside(path))
        return None


def write_stock(home: Home, table: LandingTable, stock: Stock) -> None:
    """Write down what a table holds, whole or not at all."""
    content = json.dumps(asdict(stock), ensure_ascii=False)
    path = get_stock_path(home, table)
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_suffix(".new")
    with aside.open("w", encoding="utf-8") as file:
        json.dump({"sha256": _hash_text(content), "stock": content}, file, ensure_ascii=False)
        file.flush()
        os.fsync(file.fileno())
    aside.replace(path)


def take_stock(
    home: Home,
    table: LandingTable,
    files: Sequence[TableFile],
    *,
    table_id: str,
    version: int,
    table_schema: str,
    known: Stock | None,
) -> None:
    """Write down a table as it is now. Files of `known` that nobody touched since are not read again."""
    described = {file.path: file for file in known.files} if known else {}
    stock = Stock(table_id, version, table_schema, tuple(_describe(file, described.get(file.path)) for file in files))
    if stock == known:
        return
    if table.name in COPIED_TABLES:
        _copy_files(get_copy_dir(home, table), files)
    write_stock(home, table, stock)


def is_sound(folder: Path, file: StockFile, *, deep: bool = False) -> bool:
    """True when a file is as it was written: by its size and time, or by its bytes where it was touched or `deep`."""
    path = folder / file.path
    try:
        status = path.stat()
        if status.st_size != file.size_bytes:
            return False
        return (status.st_mtime_ns == file.mtime_ns and not deep) or hash_file(path) == file.sha256
    except OSError:
        return False


def restore_copy(home: Home, table: LandingTable, folder: Path, file: StockFile) -> bool:
    """Put the kept copy of a file in its place; False when there is none that is sound."""
    kept = get_copy_dir(home, table) / Path(file.path).name
    if table.name not in COPIED_TABLES or not kept.is_file() or hash_file(kept) != file.sha256:
        return False
    target = folder / file.path
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy2(kept, target)
    return True


def hash_file(path: Path) -> str:
    """SHA-256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _describe(file: TableFile, known: StockFile | None) -> StockFile:
    status = file.absolute.stat()
    is_same = known is not None and (known.size_bytes, known.mtime_ns) == (status.st_size, status.st_mtime_ns)
    return StockFile(
        file.path,
        status.st_size,
        status.st_mtime_ns,
        known.sha256 if known is not None and is_same else hash_file(file.absolute),
        file.row_count,
        file.first_object,
        file.last_object,
    )


def _copy_files(folder: Path, files: Sequence[TableFile]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    wanted = {file.absolute.name: file.absolute for file in files}
    for name, path in wanted.items():
        target = folder / name
        if not target.exists() or target.stat().st_size != path.stat().st_size:
            aside = folder / f".{name}.new"
            shutil.copy2(path, aside)
            aside.replace(target)
    for left in folder.iterdir():
        if left.name not in wanted:
            left.unlink()


def _hash_text(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
