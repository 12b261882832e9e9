"""Where a source kind's rows go first: typed Parquet in the scratch folder, so that memory stays bounded."""

import re
import uuid
from collections.abc import Collection
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ingest.billing.claims import Claim
from ingest.contracts import LandingTable
from ingest.quarantine import QuarantineSpool
from ingest.ranges import name_repair

_SPOOL_BYTES = 48 << 20
_ROW_GROUP_ROWS = 100_000
_PLAIN_DATE = re.compile(r"cast\((\w+) as date\)")


class RowSpool:
    """Rows of several objects of one source, on disk once `close` was called.

    `partition_date_sql` is evaluated over the contract's columns; a row without a partition date is refused.
    """

    def __init__(
        self,
        engine: duckdb.DuckDBPyConnection,
        table: LandingTable,
        partition_date_sql: str,
        source_name: str,
        folder: Path,
        quarantine: QuarantineSpool,
    ) -> None:
        self.paths: list[Path] = []
        self.table = table
        self.source_name = source_name
        self.folder = folder
        self.quarantine = quarantine
        self._engine = engine
        self._partition_date_sql = partition_date_sql
        plain = _PLAIN_DATE.fullmatch(partition_date_sql)
        self._instant = plain[1] if plain else None
        self._shared: list[pa.Table] = []
        self._shared_bytes = 0
        folder.mkdir(parents=True, exist_ok=True)

    def open_object(self, uri: str, delivery_id: str) -> "ObjectSink":
        """A sink for one object; end it with `keep` or `discard`."""
        return ObjectSink(self, uri, delivery_id)

    def close(self) -> None:
        """Write what is still in memory."""
        if self._shared:
            path = self.make_path()
            pq.write_table(pa.concat_tables(self._shared), path, compression="lz4", row_group_size=_ROW_GROUP_ROWS)
            self.paths.append(path)
            self._shared, self._shared_bytes = [], 0

    def make_path(self) -> Path:
        # Unique across the processes that share the folder.
        return self.folder / f"spool-{uuid.uuid4().hex}.parquet"

    def share(self, tables: list[pa.Table]) -> None:
        """Take the rows of a small object."""
        self._shared += tables
        self._shared_bytes += sum(table.nbytes for table in tables)
        if self._shared_bytes > _SPOOL_BYTES:
            self.close()

    def add_partition_date(self, rows: pa.Table) -> pa.Table:
        if self.table.partition is None:
            return rows
        if self._instant is not None:
            # One small object is one row: asking the engine takes longer than all the rest.
            dates = rows.column(self._instant).cast(pa.date32(), safe=False)
            return rows.append_column(self.table.partition, dates)
        self._engine.register("landing_rows", rows)
        dates = self._engine.execute(
            f"select cast({self._partition_date_sql} as date) as partition_date from landing_rows"
        ).to_arrow_table()
        self._engine.unregister("landing_rows")
        return rows.append_column(self.table.partition, dates.column(0))


class ObjectSink:
    """A `RowSink` for one object."""

    def __init__(self, spool: RowSpool, uri: str, delivery_id: str) -> None:
        self.rows_written = 0
        self.rows_refused = 0
        self.refused_claims: set[Claim | None] = set()
        self._spool = spool
        self._uri = uri
        self._delivery_id = delivery_id
        self._pending: list[pa.Table] = []
        self._pending_bytes = 0
        self._writer: pq.ParquetWriter | None = None
        self._path: Path | None = None

    def write(self, batch: pa.Table) -> None:
        rows = self._spool.add_partition_date(self._keep_in_range(self._conform(batch)))
        if self._spool.table.partition is not None and rows.column(rows.num_columns - 1).null_count:
            rows = self._refuse_undated(rows)
        if rows.num_rows == 0:
            return
        self.rows_written += rows.num_rows
        self._pending.append(rows)
        self._pending_bytes += rows.nbytes
        if self._pending_bytes > _SPOOL_BYTES:
            self._write_pending()

    def refuse_row(self, position: int | None, field: str | None, reason: str, found: str = "") -> None:
        self.rows_refused += 1
        self._spool.quarantine.add(self._uri, "row", position, field, reason, found)

    def note_refused_claims(self, claims: Collection[Claim | None]) -> None:
        self.refused_claims.update(claims)

    def keep(self) -> None:
        """The object was read to its end."""
        if self._writer is None:
            self._spool.share(self._pending)
            return
        self._write_pending()
        self._writer.close()
        assert self._path is not None
        self._spool.paths.append(self._path)

    def discard(self) -> None:
        """The object was refused: forget its rows."""
        if self._writer is not None:
            self._writer.close()
        if self._path is not None:
            self._path.unlink(missing_ok=True)
        self._pending = []

    def _write_pending(self) -> None:
        if not self._pending:
            return
        rows = pa.concat_tables(self._pending)
        if self._writer is None:
            self._path = self._spool.make_path()
            self._writer = pq.ParquetWriter(self._path, rows.schema, compression="lz4")
        self._writer.write_table(rows, row_group_size=_ROW_GROUP_ROWS)
        self._pending, self._pending_bytes = [], 0

    def _conform(self, batch: pa.Table) -> pa.Table:
        """Every contract and audit column in order; the ones the kind left out are null."""
        known = {
            "_source": pa.repeat(pa.scalar(self._spool.source_name), batch.num_rows),
            "_object": pa.repeat(pa.scalar(self._uri), batch.num_rows),
            "_delivery_id": pa.repeat(pa.scalar(self._delivery_id), batch.num_rows),
        }
        names = set(batch.column_names)
        table = self._spool.table
        unknown = names - set(table.schema.names)
        if unknown:
            raise ValueError(f"{table.name} has no columns {sorted(unknown)}: put them into _extra")
        columns: list[pa.ChunkedArray | pa.Array] = []
        fields = [field for field in table.schema if field.name != table.partition]
        for field in fields:
            if field.name in known:
                columns.append(known[field.name])
            elif field.name in names:
                column = batch.column(field.name)
                columns.append(column if column.type == field.type else column.cast(field.type))
            else:
                columns.append(pa.nulls(batch.num_rows, field.type))
        return pa.table(columns, schema=pa.schema(fields))

    def _keep_in_range(self, rows: pa.Table) -> pa.Table:
        """Numbers outside their column's range are null with a repair code, or their rows are refused."""
        for name, bounds in self._spool.table.ranges.items():
            outside = bounds.find_outside(rows, name)
            if outside is None:
                continue
            if bounds.refuses:
                for row in rows.select(["_position", name]).filter(outside).to_pylist():
                    self.refuse_row(row["_position"], name, f"out of range: expected {bounds.what}", str(row[name]))
                self.note_refused_claims({None})
                rows = rows.filter(pc.invert(outside))  # type: ignore[attr-defined]
            else:
                rows = _blank(rows, name, outside)
        return rows

    def _refuse_undated(self, rows: pa.Table) -> pa.Table:
        partition = self._spool.table.partition
        has_date = rows.column(rows.num_columns - 1).is_valid()
        for position in rows.filter(pc.invert(has_date)).column("_position").to_pylist():  # type: ignore[attr-defined]
            self.refuse_row(position, partition, f"no {partition}: the row's time is missing", "")
        return rows.filter(has_date)


def _blank(rows: pa.Table, name: str, outside: pa.ChunkedArray) -> pa.Table:
    column, repairs = rows.column(name), rows.column("_repairs")
    coded = pc.binary_join_element_wise(repairs, name_repair(name), ",", null_handling="skip")  # type: ignore[attr-defined]
    for changed, values in ((name, pa.scalar(None, column.type)), ("_repairs", coded)):
        field = rows.schema.field(changed)
        mended = pc.if_else(outside, values, rows.column(changed))  # type: ignore[attr-defined]
        rows = rows.set_column(rows.schema.get_field_index(changed), field, mended)
    return rows
