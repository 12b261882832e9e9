"""What was refused, row by row: one Delta table with source, object, position, field and reason.

The entries of an object are replaced whenever the object is read again, so a mended object clears its own.
"""

import uuid
from collections.abc import Collection
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from ingest import lake
from ingest.contracts import QUARANTINE
from ingest.home import Home
from ingest.source import ObjectRefusedError
from ingest.wording import fit_sentence, make_encodable

_LONGEST_FOUND: Final = 500
_PENDING_ENTRIES: Final = 20_000
_SMALL_BYTES: Final = 4 << 20
_IDENTITY: Final = tuple(name for name in QUARANTINE.schema.names if name != "refused_at" and not name.startswith("_"))


class QuarantineSpool:
    """Entries of one source on their way to the table, spooled to disk when they are many."""

    def __init__(self, source_name: str, source_kind: str, folder: Path) -> None:
        self.paths: list[Path] = []
        self.entry_count = 0
        self.named_uris: set[str] = set()
        self._common = {"source_name": source_name, "source_kind": source_kind, "refused_at": _now()}
        self._folder = folder
        self._pending: list[dict[str, Any]] = []

    def add(self, uri: str, scope: str, position: int | None, field: str | None, reason: str, found: str = "") -> None:
        """Name one refused row (`scope` row), object or delivery."""
        self.entry_count += 1
        self.named_uris.add(uri)
        self._pending.append(
            self._common
            | {
                "object_uri": uri,
                "scope": scope,
                "position": position,
                "field": None if field is None else fit_sentence(field),
                "reason": fit_sentence(reason),
                "found": make_encodable(found[:_LONGEST_FOUND]),
                "_source": self._common["source_name"],
                "_object": uri,
            }
        )
        if len(self._pending) >= _PENDING_ENTRIES:
            self.close()

    def refuse_object(self, uri: str, refusal: ObjectRefusedError) -> None:
        """Name an object that was refused whole."""
        self.add(uri, "object", refusal.position, refusal.field, refusal.reason, refusal.found)

    def close(self) -> None:
        """Write what is still in memory."""
        if self._pending:
            self._folder.mkdir(parents=True, exist_ok=True)
            path = self._folder / f"quarantine-{uuid.uuid4().hex}.parquet"
            pq.write_table(pa.Table.from_pylist(self._pending, schema=QUARANTINE.schema), path)
            self.paths.append(path)
            self._pending = []

    def absorb(self, other: "QuarantineSpool") -> None:
        """Take over the entries of a closed spool."""
        self.paths += other.paths
        self.entry_count += other.entry_count
        self.named_uris |= other.named_uris


def _now() -> datetime:
    return datetime.now(UTC).replace(tzinfo=None)


def list_objects(home: Home, engine: duckdb.DuckDBPyConnection) -> set[tuple[str, str]]:
    """(source, object) of everything that has entries now."""
    files = lake.list_files(home, QUARANTINE)
    sql = lake.select_files_sql(engine, QUARANTINE, files)
    return set(engine.execute(f"select distinct source_name, object_uri from ({sql})").fetchall())


def replace_entries(
    home: Home,
    engine: duckdb.DuckDBPyConnection,
    source_name: str,
    object_uris: Collection[str],
    spool: QuarantineSpool,
) -> bool:
    """Make `spool` the only entries of `object_uris`; False when they were just these before.

    Small files of the source are merged on the way, so that thousands of runs do not leave thousands of files.
    """
    spool.close()
    slice_id = lake.hash_text("quarantine", source_name)
    engine.register("landing_uris", pa.table({"uri": pa.array(sorted(object_uris), pa.string())}))
    rewritten = [
        file
        for file in lake.list_files(home, QUARANTINE)
        if file.slice_id == slice_id and (file.size_bytes < _SMALL_BYTES or _holds_any(engine, file))
    ]
    old_sql = lake.select_files_sql(engine, QUARANTINE, rewritten)
    new = ", ".join(lake.quote_text(str(path)) for path in spool.paths)
    new_sql = f"select * from read_parquet([{new}])" if new else f"{lake.select_files_sql(engine, QUARANTINE, [])}"
    engine.execute(
        f"""create or replace temp table landing_entries as
        select * from ({old_sql}) where object_uri not in (select uri from landing_uris)
        union all by name {new_sql}"""
    )
    identity = ", ".join(_IDENTITY)
    row = engine.execute(
        f"""select count(*), sum(hash({identity})::hugeint), bit_xor(hash({identity}, 1)),
        min(object_uri), max(object_uri) from landing_entries"""
    ).fetchone()
    assert row is not None
    added: list[lake.NewFile] = []
    if row[0]:
        written = home.scratch_dir / f"quarantine-{slice_id}.parquet"
        engine.execute(
            f"copy (from landing_entries order by {identity}) to {lake.quote_text(str(written))} (format parquet)"
        )
        path = lake.name_file(QUARANTINE, slice_id, lake.hash_text(*map(str, row[:3])), None)
        added.append(lake.NewFile(path, written, row[0], None, row[3], row[4]))
    engine.execute("drop table landing_entries")
    engine.unregister("landing_uris")
    for path in spool.paths:
        path.unlink(missing_ok=True)
    return bool(added or rewritten) and lake.swap_files(home, QUARANTINE, added, rewritten)


def _holds_any(engine: duckdb.DuckDBPyConnection, file: lake.LakeFile) -> bool:
    sql = lake.select_files_sql(engine, QUARANTINE, [file])
    found = engine.execute(f"select 1 from ({sql}) where object_uri in (select uri from landing_uris) limit 1")
    return found.fetchone() is not None
