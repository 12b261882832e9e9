"""What a home can lose without harm: the warehouse and all of .state. What cannot be used is set aside and made anew.

Each repair is said in one sentence on the logger `wattledger`; the command prints it, Dagster keeps it in its logs.
"""

import logging
import shutil
from pathlib import Path
from typing import Final

import duckdb

from ingest.home import Home, hold_lock

REPAIRS: Final = logging.getLogger("wattledger")

_BROKEN_SUFFIX: Final = ".broken"
_CORRUPT_WORDS: Final = (
    "corrupt database file",
    "not a valid duckdb database file",
    "could not read enough bytes",
    "serialization error",
    "replaying wal",
)
"""What DuckDB says of a database file that cannot be read any more, in lower case."""


def set_aside(path: Path) -> Path:
    """Rename a broken file or folder, in place of the one that was set aside before; returns its new path."""
    aside = path.with_name(f"{path.name}{_BROKEN_SUFFIX}")
    remove(aside)
    path.rename(aside)
    return aside


def remove(path: Path) -> None:
    """Delete a file, a link or a folder with all that is in it; nothing is there afterwards."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def heal_state(home: Home) -> None:
    """Make every folder of .state usable, and empty the scratch folder. Under the home's lock."""
    with hold_lock(home):
        for folder in _list_state_folders(home):
            if folder.is_symlink() or folder.exists():
                if folder.is_dir():
                    continue
                REPAIRS.warning("%s was no folder: it is now %s, and a new one was made.", folder, set_aside(folder))
            folder.mkdir(parents=True)
        for entry in home.scratch_dir.iterdir():
            remove(entry)


def heal_warehouse(home: Home) -> None:
    """Set the warehouse aside when it cannot be opened as a database; the next build makes it anew from the lake."""
    with hold_lock(home):
        reason = find_warehouse_damage(home)
        if reason is not None:
            set_aside_warehouse(home, reason)


def set_aside_warehouse(home: Home, reason: str) -> None:
    """Take the warehouse and its write-ahead log out of the way, and say why."""
    log = home.warehouse_path.with_name(f"{home.warehouse_path.name}.wal")
    if log.exists():
        set_aside(log)
    aside = set_aside(home.warehouse_path)
    REPAIRS.warning(
        "%s cannot be read (%s): it is now %s, and is rebuilt from the lake.", home.warehouse_path, reason, aside
    )


def tells_of_corruption(error: BaseException) -> bool:
    """True when the error, or what caused it, is DuckDB's word for a database file that is damaged."""
    said = f"{error} {error.__cause__ or ''}".lower()
    return any(words in said for words in _CORRUPT_WORDS)


def find_warehouse_damage(home: Home) -> str | None:
    """Why the warehouse is no database; None when it is one, is absent, or someone else has it. Writes nothing."""
    path = home.warehouse_path
    if not (path.is_symlink() or path.exists()):
        return None
    if not path.is_file():
        return "it is no file"
    if path.stat().st_size == 0:
        return "it is empty"
    try:
        with duckdb.connect(str(path), read_only=True) as connection:
            connection.execute("select count(*) from duckdb_tables()").fetchall()
    except duckdb.Error as error:
        return str(error).splitlines()[0] if tells_of_corruption(error) else None
    return None


def _list_state_folders(home: Home) -> tuple[Path, ...]:
    """Every folder below .state that something of ours writes to, parents first."""
    state = home.state_dir
    dbt = state / "dbt"
    named = (state, dbt, dbt / "runs", state / "tmp", state / "logs")
    return (*named, home.dagster_dir, home.dbt_target_dir, home.dbt_log_dir, home.scratch_dir)
