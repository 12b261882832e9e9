"""The one reader of the published marts. Everything that leaves the house is read through here, and only read."""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any, TypeVar

import duckdb

from delivery.publish import BUILD_INFO_TABLE, MARTS_FILE
from delivery.sql_text import quote_text

Row = TypeVar("Row")


class MartsError(Exception):
    """There are no published marts to read, or they lack what was asked for."""


class NoChargesError(MartsError):
    """The published marts are whole, and have no charge."""


@dataclass(frozen=True)
class BuildInfo:
    """The build that the marts carry; `data_through` by source, None where nothing of a source landed.

    `standing_note`: what to tell of a build that is not the last one, by who knows; the marts do not.
    """

    build_id: str
    published_at: datetime
    data_through: Mapping[str, datetime | None]
    standing_note: str | None = None


class Marts:
    """Published marts, open for reading; `build` is what they carry."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, path: Path, *, standing_note: str | None = None) -> None:
        self._connection = connection
        self.path = path
        self.build = dataclasses.replace(self._read_build(), standing_note=standing_note)

    def fetch(self, row_type: type[Row], query: str, parameters: Sequence[Any] = ()) -> list[Row]:
        """Rows of `query`, each as a `row_type` dataclass whose fields are the query's columns.

        `query` is text of this package; every value goes through `parameters`.

        Raises:
            MartsError: a table or column is not among the published ones, or the columns are not the fields.
        """
        columns, rows = self._run(query, parameters)
        fields = [field.name for field in dataclasses.fields(row_type)]  # type: ignore[arg-type]
        if columns != fields:
            raise MartsError(f"{row_type.__name__}: expected columns {fields}, found {columns}")
        return [row_type(*row) for row in rows]

    def fetch_table(self, query: str, parameters: Sequence[Any] = ()) -> tuple[list[str], list[tuple[Any, ...]]]:
        """Column names and rows of `query`, for a table that is handed on as it is."""
        return self._run(query, parameters)

    def read_charged_days(self) -> tuple[date, date] | None:
        """First and last day of charges, both included; None without a charge.

        What is charged by the month, such as owned hardware, stands in the marts to the month's end: the last day is
        one that bills of a day, allocations or requests speak for.
        """
        _, ((first_date, last_date),) = self._run(
            "select min(usage_date), least(max(usage_date), (select max(data_through_date) from dim_billing_periods)) "
            "from fct_chargeback_daily",
            (),
        )
        return None if first_date is None else (first_date, max(first_date, last_date))

    def _run(self, query: str, parameters: Sequence[Any]) -> tuple[list[str], list[tuple[Any, ...]]]:
        try:
            cursor = self._connection.execute(query, list(parameters))
        except (duckdb.CatalogException, duckdb.BinderException) as error:
            raise MartsError(
                f"{self.path}: the published marts are not of this version; publish again: {error}"
            ) from error
        return [column[0] for column in cursor.description or ()], cursor.fetchall()

    def _read_build(self) -> BuildInfo:
        _, rows = self._run(f"select build_id, published_at, source_name, data_through_at from {BUILD_INFO_TABLE}", ())
        builds = {(build_id, published_at) for build_id, published_at, _, _ in rows}
        if len(builds) != 1:
            raise MartsError(
                f"{self.path}: expected one build in {BUILD_INFO_TABLE}, found {len(builds)}; publish again"
            )
        ((build_id, published_at),) = builds
        through = {name: through_at for _, _, name, through_at in sorted(rows, key=lambda row: row[2] or "") if name}
        return BuildInfo(build_id, published_at, through)


@contextmanager
def open_marts(published: Path, *, standing_note: str | None = None) -> Iterator[Marts]:
    """The marts of folder `published`, read-only, as one build from the first query to the last.

    Raises:
        MartsError: nothing is published there, or the file is no marts file.
    """
    path = published / MARTS_FILE
    if not path.is_file():
        raise MartsError(
            f"{path}: nothing is published yet; run `wattledger run`, or `wattledger publish` after a build"
        )
    # Attached to a database of its own: duckdb.connect(path) hands out the file that this process opened before under
    # the same name, which may be a build that has been replaced.
    with duckdb.connect() as connection:
        try:
            connection.execute(f"attach {quote_text(str(path))} as published (read_only)")
            connection.execute("use published")
            # An in-memory database would spill into the working directory; what is read here are small aggregates.
            connection.execute("set temp_directory = ''")
        except duckdb.Error as error:
            raise MartsError(f"{path}: expected a DuckDB file of marts: {error}") from error
        yield Marts(connection, path, standing_note=standing_note)
