"""What the landing of every source shares: the open run, what it tells, and what makes an object worth reading."""

import json
from collections import Counter
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb

from ingest import lake, quarantine
from ingest.config import LANDING_OPTIONS, STORAGE_OPTIONS, SourceConfig
from ingest.contracts import BILL_PERIODS
from ingest.date_span import DateSpan
from ingest.home import Home
from ingest.kinds import KINDS
from ingest.quarantine import QuarantineSpool
from ingest.reading import Readers, ReadObject
from ingest.registry import LOST, REFUSED, Registry, RegistryRow, supersede
from ingest.server_options import SERVER_OPTIONS
from ingest.source import SourceKind
from ingest.storage import StoredObject

Progress = Callable[[str, int, int], None]
"""Called with (source, objects done, objects to read)."""


@dataclass
class SourceReport:
    """What landing did for one source. Deliveries are counted by object, rows as they were read in this run."""

    source_name: str
    kind: str
    table_name: str
    deliveries_landed: int = 0
    deliveries_refused: int = 0
    deliveries_unchanged: int = 0
    deliveries_superseded: int = 0
    rows_read: int = 0
    rows_landed: int = 0
    rows_quarantined: int = 0
    repairs: Counter[str] = field(default_factory=Counter)
    messages: list[str] = field(default_factory=list)
    data_through_at: datetime | None = None
    """UTC, naive as in the lake: the latest end of a row that this source ever landed."""

    unlanded: list[str] = field(default_factory=list)
    """What should have landed and did not, though no object stands refused."""

    is_stale: bool = False
    """True when the source, or some of what it lists, could not be had: what it landed before stands."""

    has_lost: bool = False
    """True while the lake has lost rows of this source that could not be read again."""

    def note_unreachable(self, reasons: Iterable[str | None]) -> None:
        """Mark the source stale when a store did not give what it had listed; the next run asks again."""
        said = [reason for reason in reasons if reason is not None]
        if said:
            more = f" (and {len(said) - 1} more objects)" if len(said) > 1 else ""
            self.is_stale = True
            self.messages.append(f"{said[0]}{more}")

    def count(self, item: ReadObject) -> None:
        """Add one object that was landed or refused."""
        rows_seen = item.rows_written + item.rows_refused
        self.rows_read += rows_seen
        if item.refusal is None:
            self.deliveries_landed += 1
            self.rows_landed += item.rows_written
            self.rows_quarantined += item.rows_refused
        else:
            self.deliveries_refused += 1
            self.rows_quarantined += rows_seen


@dataclass
class LandingRun:
    """What the landing of every source shares."""

    home: Home
    engine: duckdb.DuckDBPyConnection
    registry: Registry
    quarantined: set[tuple[str, str]]
    readers: Readers
    progress: Progress | None
    again: DateSpan | None = None  # days that are read again whether or not they have settled or changed

    @property
    def spool_dir(self) -> Path:
        return self.home.scratch_dir / "spool"

    def replace_quarantine(self, source_name: str, uris: Collection[str], spool: QuarantineSpool) -> None:
        """Make `spool` what is named of `uris`."""
        had = {uri for uri in uris if (source_name, uri) in self.quarantined}
        if had or spool.entry_count:
            quarantine.replace_entries(self.home, self.engine, source_name, uris, spool)
            self.quarantined -= {(source_name, uri) for uri in had}
            self.quarantined |= {(source_name, uri) for uri in spool.named_uris}

    def find_again(self, source: SourceConfig, kind: SourceKind) -> set[str]:
        """The objects of a source whose rows speak for a day that is to be read again."""
        if self.again is None:
            return set()
        first, last = self.again.first_date, self.again.last_date
        start, end = BILL_PERIODS.get(kind.table.name, (kind.table.partition, kind.table.partition))
        sql = lake.select_files_sql(self.engine, kind.table, lake.list_files(self.home, kind.table))
        found = self.engine.execute(
            f"select distinct _object from ({sql}) where _source = $1 and {start} < $3 and {end} >= $2",
            [source.name, first, last + timedelta(days=1)],
        ).fetchall()
        return {uri for (uri,) in found}

    def forget_withdrawn(
        self, source: SourceConfig, kind: SourceKind, known: dict[str, list[RegistryRow]], listed: Collection[str]
    ) -> None:
        """Refused objects that are no longer at the source: taking one away is a way to mend it."""
        withdrawn = {
            uri: rows for uri, rows in known.items() if uri not in listed and any(row.status == REFUSED for row in rows)
        }
        if not withdrawn:
            return
        rows: list[RegistryRow] = []
        for had in withdrawn.values():
            standing = [row for row in had if row.status != REFUSED]
            rows += standing or [supersede(had[0], "was refused, and is no longer at the source")]
        self.registry.record(rows)
        self.replace_quarantine(source.name, withdrawn, QuarantineSpool(source.name, kind.kind, self.spool_dir))


def hash_options(source: SourceConfig) -> str:
    """An id of what may change how a source's objects are read: its options, and the version of the kind's reader."""
    return _hash_reading(source, KINDS[source.kind].reader_version)


def list_options_ids(source: SourceConfig) -> list[str]:
    """The ids of the same options under the reader's version of now and each one before."""
    return [_hash_reading(source, version) for version in range(1, KINDS[source.kind].reader_version + 1)]


def _hash_reading(source: SourceConfig, reader_version: int) -> str:
    others = (*STORAGE_OPTIONS, *LANDING_OPTIONS, *SERVER_OPTIONS)
    reading = {key: value for key, value in source.options.items() if key not in others}
    texts = [source.kind, json.dumps(reading, sort_keys=True, default=str)]
    # The first version adds nothing, so that objects landed before there were versions are not read again.
    return lake.hash_text(*texts, *([f"reader {reader_version}"] if reader_version > 1 else []))


def needs_reading(rows: list[RegistryRow] | None, stored: StoredObject, options_sha256: str) -> bool:
    """True for an object that is new, changed, refused, or whose rows the lake lost."""
    return not rows or any(
        row.etag != stored.etag or row.options_sha256 != options_sha256 or row.status in (REFUSED, LOST) for row in rows
    )


def utc_text(instant: datetime) -> str:
    """A sortable text of an aware instant."""
    return instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
