"""Which objects were landed, in which version and with what result: the table `deliveries`.

Rows are appended after the data they speak of, so a crash in between re-lands harmlessly. The rows of an object with
its latest `landed_at` are the ones that hold: one for each slice it claims.
"""

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from ingest import lake
from ingest.contracts import DELIVERIES, LandingTable
from ingest.home import Home

LANDED = "landed"
REFUSED = "refused"
SUPERSEDED = "superseded"
LOST = "lost"  # landed once, and the lake lost the rows: the object is due until they are there again
STANDING = (LANDED, LOST)  # what an object said last, whether or not the lake still has it
_MOST_FILES = 32


@dataclass(frozen=True, slots=True)
class RegistryRow:
    """One object's part in one slice. For logs and telemetry, `slice_key` names the batch it was landed in."""

    source_name: str
    source_kind: str
    table_name: str
    slice_key: str
    version: str
    object_uri: str
    etag: str
    sha256: str
    options_sha256: str
    status: str
    message: str | None
    rows_read: int
    rows_landed: int
    rows_quarantined: int
    data_through_at: datetime | None  # UTC, naive as in the lake


_COLUMNS = [field.name for field in fields(RegistryRow)]


def make_row(
    base: Mapping[str, Any],
    slice_key: str,
    outcome: tuple[str, str | None, int, int, int],
    data_through_at: datetime | None,
) -> RegistryRow:
    """The row of an object's part in a slice. `base` has what holds of the object, `outcome` the status, the message
    and the rows that were read, landed and quarantined."""
    status, message, rows_read, rows_landed, rows_quarantined = outcome
    return RegistryRow(
        **base,
        slice_key=slice_key,
        status=status,
        message=message,
        rows_read=rows_read,
        rows_landed=rows_landed,
        rows_quarantined=rows_quarantined,
        data_through_at=data_through_at,
    )


def supersede(row: RegistryRow, message: str) -> RegistryRow:
    """The row of rows that stand in no table any more."""
    return replace(
        row, status=SUPERSEDED, message=message, rows_read=0, rows_landed=0, rows_quarantined=0, data_through_at=None
    )


def latest_sql(source_sql: str) -> str:
    """The rows that hold, out of all that were ever appended."""
    return (
        f"select * from ({source_sql}) qualify landed_at = max(landed_at) over (partition by source_name, object_uri)"
    )


class Registry:
    """The registry as it stood when opened, kept up to date by `record`."""

    def __init__(self, home: Home, engine: duckdb.DuckDBPyConnection) -> None:
        self._home = home
        self._engine = engine
        sql = lake.select_files_sql(engine, DELIVERIES, lake.list_files(home, DELIVERIES))
        found = engine.execute(f"select {', '.join(_COLUMNS)} from ({latest_sql(sql)})").fetchall()
        self._rows: dict[str, dict[str, list[RegistryRow]]] = defaultdict(lambda: defaultdict(list))
        for values in found:
            row = RegistryRow(*values)
            self._rows[row.source_name][row.object_uri].append(row)
        self._slice_keys: dict[str, set[str]] = defaultdict(set)
        for table_name, slice_key in engine.execute(f"select distinct table_name, slice_key from ({sql})").fetchall():
            self._slice_keys[table_name].add(slice_key)

    def read_source(self, source_name: str) -> dict[str, list[RegistryRow]]:
        """The rows that hold by object."""
        return dict(self._rows.get(source_name, {}))

    def find_owners(self, table: LandingTable, uri: str) -> list[str]:
        """The sources that read an object into a table."""
        return [
            source_name
            for source_name, objects in self._rows.items()
            if any(row.table_name == table.name for row in objects.get(uri, ()))
        ]

    def read_slice(self, table: LandingTable, slice_key: str) -> list[RegistryRow]:
        """The rows that hold of every object of every source that claims a slice."""
        return [
            row
            for objects in self._rows.values()
            # A source has one kind, so one object tells its table.
            if next((rows[0].table_name for rows in objects.values() if rows), "") == table.name
            for rows in objects.values()
            for row in rows
            if row.slice_key == slice_key
        ]

    def list_rows(self, table: LandingTable, status: str) -> list[RegistryRow]:
        """The rows of a table that hold with this status and have rows in the lake, or had."""
        return [row for row in self._list_all() if row.table_name == table.name and row.status == status]

    def list_lost(self) -> dict[str, list[RegistryRow]]:
        """What the lake lost and no source has given again, by source."""
        lost: dict[str, list[RegistryRow]] = defaultdict(list)
        for row in self._list_all():
            if row.status == LOST:
                lost[row.source_name].append(row)
        return dict(lost)

    def change_status(self, rows: Collection[RegistryRow], status: str, message: str) -> None:
        """Give rows that hold another status; the other rows of their objects stay as they are."""
        changed = set(rows)
        objects = {(row.source_name, row.object_uri) for row in changed}
        self.record(
            [
                replace(row, status=status, message=message) if row in changed else row
                for source_name, uri in sorted(objects)
                for row in self._rows[source_name][uri]
            ]
        )

    def _list_all(self) -> Iterator[RegistryRow]:
        for objects in self._rows.values():
            for rows in objects.values():
                yield from rows

    def list_slice_keys(self, table: LandingTable) -> set[str]:
        """Every slice key that was ever recorded for a table."""
        return self._slice_keys[table.name]

    def record(self, rows: Sequence[RegistryRow]) -> None:
        """Make `rows` the ones that hold for their objects; those that say nothing new are not written again."""
        by_object: dict[tuple[str, str], list[RegistryRow]] = defaultdict(list)
        for row in rows:
            by_object[row.source_name, row.object_uri].append(row)
        changed = [
            row
            for (source_name, uri), group in by_object.items()
            if set(group) != set(self._rows[source_name].get(uri, ()))
            for row in group
        ]
        for (source_name, uri), group in by_object.items():
            self._rows[source_name][uri] = group
        for row in changed:
            self._slice_keys[row.table_name].add(row.slice_key)
        if changed:
            self._append(changed)

    def _append(self, rows: Sequence[RegistryRow]) -> None:
        now = datetime.now(UTC).replace(tzinfo=None)
        values = [{name: getattr(row, name) for name in _COLUMNS} | {"landed_at": now} for row in rows]
        written = self._home.scratch_dir / "registry.parquet"
        written.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.Table.from_pylist(values, schema=DELIVERIES.schema), written)
        content = lake.hash_text(now.isoformat(), str(len(rows)))
        path = lake.name_file(DELIVERIES, "registry", content, None)
        files = lake.list_files(self._home, DELIVERIES)
        lake.swap_files(self._home, DELIVERIES, [lake.NewFile(path, written, len(rows), None)], [])
        if len(files) >= _MOST_FILES:
            self._compact()

    def _compact(self) -> None:
        files = lake.list_files(self._home, DELIVERIES)
        sql = lake.select_files_sql(self._engine, DELIVERIES, files)
        written = self._home.scratch_dir / "registry.parquet"
        # The last word on each (object, slice), also where a later batch took the object: its files may still be there.
        self._engine.execute(
            f"""copy (select * from ({sql}) qualify row_number() over (
                partition by source_name, object_uri, slice_key order by landed_at desc) = 1
            order by landed_at, source_name, object_uri, slice_key)
            to {lake.quote_text(str(written))} (format parquet)"""
        )
        count = pq.read_metadata(written).num_rows
        path = lake.name_file(DELIVERIES, "registry", lake.hash_text(*(file.path for file in files)), None)
        lake.swap_files(self._home, DELIVERIES, [lake.NewFile(path, written, count, None)], files)
