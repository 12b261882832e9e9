"""Publish the marts: one DuckDB file and one Parquet folder, both of one build, both swapped in by a rename.

A reader that has the old file open keeps its rows; a reader that opens later sees the new ones; nobody sees half. The
caller holds the home's lock, so that there is one publisher at a time.
"""

import os
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import duckdb

from delivery.sql_text import quote_identifier, quote_text

MARTS_FILE: Final = "marts.duckdb"
PARQUET_LINK: Final = "parquet"
BUILD_INFO_TABLE: Final = "build_info"

# What every DuckDB since 1.0 can open: BI drivers lag behind the library that writes.
_STORAGE_VERSION: Final = "v1.0.0"
_ASIDE_FILE: Final = f".{MARTS_FILE}.new"
_ASIDE_LINK: Final = f".{PARQUET_LINK}.new"
_ASIDE_FOLDER: Final = f".{PARQUET_LINK}.partial"
_SPILL_FOLDER: Final = ".spill"
_BUILD_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")

_BUILD_INFO_COMMENTS: Final = {
    "build_id": "Names the build that made every table here; the Parquet files of the same build carry it too",
    "published_at": "When this file was written, UTC",
    "source_name": "A source of sources.yml; null when the build had no source",
    "data_through_at": "Latest instant that the source's landed data speaks for, UTC; null when nothing of it landed",
}


class PublishError(Exception):
    """The marts could not be published; what was published before still stands."""


@dataclass(frozen=True)
class PublishReport:
    """What stands published: rows by table (build_info included), the size of file and Parquet together."""

    build_id: str
    row_counts: Mapping[str, int]
    size_bytes: int
    is_new: bool  # False when this build was published before and nothing was written

    @property
    def tables(self) -> tuple[str, ...]:
        """Names of the published tables, sorted."""
        return tuple(sorted(self.row_counts))


def publish(
    warehouse: Path,
    published: Path,
    *,
    build_id: str,
    data_through: Mapping[str, datetime | None],
    published_at: datetime | None = None,
) -> PublishReport:
    """Copy schema `marts` of `warehouse` to `published`; a build that is already there is left as it is.

    The Parquet folder is complete before the DuckDB file is swapped, and its link is swapped right after, so that a
    kill leaves each of the two whole and the next call ends what was begun.

    Raises:
        PublishError: no warehouse, no marts in it, a build id that cannot name a folder, or a disk that refused.
    """
    if not _BUILD_ID.fullmatch(build_id):
        raise PublishError(f"build id {build_id!r}: expected 1-100 of A-Z a-z 0-9 . _ - (it names a folder)")
    if not warehouse.is_file():
        raise PublishError(f"{warehouse}: no warehouse to publish from; build it first (wattledger build)")
    link = published / PARQUET_LINK
    if link.exists() and not link.is_symlink():
        raise PublishError(f"{link}: expected a symbolic link that publishing swaps, found a folder; move it away")

    published.mkdir(parents=True, exist_ok=True)
    _remove_leftovers(published)
    folder = published / f"{PARQUET_LINK}-{build_id}"
    previous_folder = link.resolve() if link.is_symlink() else None
    counts = _read_whole_file(published / MARTS_FILE, build_id)
    has_file = counts is not None
    has_folder = counts is not None and _count_parquet_rows(published, build_id) == counts
    if not (has_file and has_folder):
        try:
            with _open_aside(warehouse, published) as connection:
                _copy_marts(connection, warehouse, build_id, data_through, published_at or datetime.now(UTC))
                if not has_folder:
                    _write_parquet(connection, published / _ASIDE_FOLDER, build_id)
            _swap_in(published, folder, needs_folder=not has_folder)
        except (duckdb.Error, OSError) as error:
            _remove_leftovers(published)
            message = f"{published}: build {build_id} was not published, the one before stands: {error}"
            raise PublishError(message) from error
        if not has_folder:
            _remove_old_folders(published, keep={folder.resolve(), previous_folder})
    return PublishReport(
        build_id=build_id,
        row_counts=_count_rows(published / MARTS_FILE),
        size_bytes=(published / MARTS_FILE).stat().st_size + sum(file.stat().st_size for file in folder.iterdir()),
        is_new=not (has_file and has_folder),
    )


def is_published(published: Path, build_id: str) -> bool:
    """True when the DuckDB file and the Parquet folder are there, are of this build and have every table whole.

    Fast: what a file says of itself is read, not its rows.
    """
    counts = _read_whole_file(published / MARTS_FILE, build_id)
    return counts is not None and _count_parquet_rows(published, build_id) == counts


def read_build_id(marts_file: Path) -> str | None:
    """The build that `marts_file` carries; None where there is no such file or it is no marts file."""
    if not marts_file.is_file():
        return None
    try:
        with duckdb.connect() as connection:
            connection.execute(f"attach {quote_text(str(marts_file))} as published (read_only)")
            row = connection.execute(f"select any_value(build_id) from published.main.{BUILD_INFO_TABLE}").fetchone()
    except duckdb.Error:
        return None
    return row[0] if row else None


def _swap_in(published: Path, folder: Path, *, needs_folder: bool) -> None:
    """Make what was written aside visible: two renames, each of something complete and on disk."""
    _sync(published / _ASIDE_FILE)
    if needs_folder:
        shutil.rmtree(folder, ignore_errors=True)
        (published / _ASIDE_FOLDER).rename(folder)
        (published / _ASIDE_LINK).symlink_to(folder.name)
    _sync(published)
    (published / _ASIDE_FILE).replace(published / MARTS_FILE)
    if needs_folder:
        (published / _ASIDE_LINK).replace(published / PARQUET_LINK)
    _sync(published)


@contextmanager
def _open_aside(warehouse: Path, published: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection with `warehouse` attached read-only and the new file as `aside`; closed, the file is complete."""
    with duckdb.connect() as connection:
        # An in-memory database spills into the working directory unless told otherwise.
        connection.execute("set temp_directory = ?", [str(published / _SPILL_FOLDER)])
        connection.execute(f"attach {quote_text(str(warehouse))} as warehouse (read_only)")
        aside = quote_text(str(published / _ASIDE_FILE))
        connection.execute(f"attach {aside} as aside (storage_version {quote_text(_STORAGE_VERSION)})")
        yield connection
        connection.execute("detach aside")
    shutil.rmtree(published / _SPILL_FOLDER, ignore_errors=True)


def _copy_marts(
    connection: duckdb.DuckDBPyConnection,
    warehouse: Path,
    build_id: str,
    data_through: Mapping[str, datetime | None],
    published_at: datetime,
) -> None:
    """Create every table of schema `marts`, with its comments, and `build_info` in `aside`."""
    tables = connection.execute(
        "select table_name, comment from duckdb_tables() where database_name = 'warehouse' and schema_name = 'marts' "
        "union all "
        "select view_name, comment from duckdb_views() where database_name = 'warehouse' and schema_name = 'marts' "
        "order by 1"
    ).fetchall()
    if not tables:
        raise PublishError(f"{warehouse}: schema marts holds no table; did the build run? (wattledger build)")
    if BUILD_INFO_TABLE in {name for name, _ in tables}:
        raise PublishError(f"{warehouse}: marts.{BUILD_INFO_TABLE} would be overwritten; publishing writes that table")
    for name, comment in tables:
        table = quote_identifier(name)
        connection.execute(f"create table aside.main.{table} as from warehouse.marts.{table}")
        columns = connection.execute(
            "select column_name, comment from duckdb_columns() "
            "where database_name = 'warehouse' and schema_name = 'marts' and table_name = ? and comment is not null",
            [name],
        ).fetchall()
        _comment(connection, name, comment, dict(columns))

    connection.execute(
        f"create table aside.main.{BUILD_INFO_TABLE} "
        "(build_id varchar, published_at timestamp, source_name varchar, data_through_at timestamp)"
    )
    sources = sorted(data_through.items()) or [(None, None)]
    for source_name, through_at in sources:
        row = [build_id, _as_utc(published_at), source_name, _as_utc(through_at) if through_at else None]
        connection.execute(f"insert into aside.main.{BUILD_INFO_TABLE} values (?, ?, ?, ?)", row)
    purpose = "One row per source: the build that this file carries and how far each source's data reaches"
    _comment(connection, BUILD_INFO_TABLE, purpose, _BUILD_INFO_COMMENTS)


def _comment(
    connection: duckdb.DuckDBPyConnection, table: str, comment: str | None, column_comments: Mapping[str, str]
) -> None:
    target = f"aside.main.{quote_identifier(table)}"
    if comment is not None:
        connection.execute(f"comment on table {target} is {quote_text(comment)}")
    for column, text in column_comments.items():
        connection.execute(f"comment on column {target}.{quote_identifier(column)} is {quote_text(text)}")


def _write_parquet(connection: duckdb.DuckDBPyConnection, folder: Path, build_id: str) -> None:
    """Write each table of `aside` as `folder`/<table>.parquet, durable when this returns."""
    folder.mkdir()
    names = connection.execute("select table_name from duckdb_tables() where database_name = 'aside'").fetchall()
    for (name,) in names:
        file = folder / f"{name}.parquet"
        connection.execute(
            f"copy aside.main.{quote_identifier(name)} to {quote_text(str(file))} "
            f"(format parquet, compression zstd, kv_metadata {{build_id: {quote_text(build_id)}}})"
        )
        _sync(file)
    _sync(folder)


def _read_whole_file(marts_file: Path, build_id: str) -> dict[str, int] | None:
    """Rows by table of the marts file; None when it is not of this build, or cannot be read."""
    try:
        return _count_rows(marts_file) if read_build_id(marts_file) == build_id else None
    except duckdb.Error:
        return None


def _count_parquet_rows(published: Path, build_id: str) -> dict[str, int] | None:
    """Rows by table of the folder behind the link; None when it is not of this build, or a file is cut off."""
    folder = published / f"{PARQUET_LINK}-{build_id}"
    link = published / PARQUET_LINK
    if not (link.is_symlink() and folder.is_dir() and link.resolve() == folder.resolve()):
        return None
    # By name, and not by a pattern: the home's own path may have brackets in it.
    files = sorted(folder.glob("*.parquet"))
    try:
        with duckdb.connect() as connection:
            sql = "select parse_filename(file_name, true), num_rows from parquet_file_metadata(?)"
            return dict(connection.execute(sql, [[str(file) for file in files]]).fetchall()) if files else None
    except duckdb.Error:
        return None


def _count_rows(marts_file: Path) -> dict[str, int]:
    with duckdb.connect() as connection:
        connection.execute(f"attach {quote_text(str(marts_file))} as published (read_only)")
        names = connection.execute(
            "select table_name from duckdb_tables() where database_name = 'published' order by 1"
        )
        counts = {}
        for (name,) in names.fetchall():
            row = connection.execute(f"select count(*) from published.main.{quote_identifier(name)}").fetchone()
            assert row is not None
            counts[name] = row[0]
    return counts


def _remove_leftovers(published: Path) -> None:
    """Remove what a killed publisher left: nothing here was ever visible to a reader."""
    for name in (_ASIDE_FILE, f"{_ASIDE_FILE}.wal", _ASIDE_LINK):
        (published / name).unlink(missing_ok=True)
    for name in (_ASIDE_FOLDER, _SPILL_FOLDER):
        shutil.rmtree(published / name, ignore_errors=True)


def _remove_old_folders(published: Path, keep: set[Path | None]) -> None:
    """The folder before stays: a reader that resolved the link a moment ago still lists its files."""
    for folder in published.glob(f"{PARQUET_LINK}-*"):
        if folder.is_dir() and folder.resolve() not in keep:
            shutil.rmtree(folder, ignore_errors=True)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _as_utc(instant: datetime) -> datetime:
    """`instant` as the zoneless UTC that marts hold; one without a zone already is."""
    return instant.astimezone(UTC).replace(tzinfo=None) if instant.tzinfo else instant
