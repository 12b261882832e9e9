"""Let kinds read objects: one after another here, or many at once in reader processes when there is much to read."""

import hashlib
import os
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import duckdb

from ingest import lake
from ingest.billing.claims import Claim
from ingest.config import SourceConfig
from ingest.failures import is_machine_fault, refuse_failed
from ingest.kinds import KINDS
from ingest.quarantine import QuarantineSpool
from ingest.reader_pool import ReaderPool
from ingest.sink import ObjectSink, RowSpool
from ingest.source import ObjectRefusedError, SourceKind, SourceObject
from ingest.storage import Downloads, StorageError, StoredObject

_POOL_BYTES: Final = 32 << 20  # what one process reads in about two seconds, twice what starting a reader takes
_GZIP_FACTOR: Final = 8  # how much longer than it looks a gzip object is, about
_FAILURES_TO_GIVE_UP: Final = 3  # each was tried for as long as a store may ask us to wait
_TASKS_PER_READER: Final = 6
_MOST_READERS: Final = 8  # each may take some 500 MB


class AnswerShrankError(ObjectRefusedError):
    """A server lost what it had: what landed of the window before stands, and is no fault of the answer."""


@dataclass(frozen=True)
class PulledObject(StoredObject):
    """A server's answer on disk. With fewer rows than `least_rows` it tells of a loss at the server."""

    least_rows: int = 0


@dataclass
class ReadObject:
    """One object after its kind has read it."""

    stored: StoredObject
    sha256: str
    rows_written: int
    rows_refused: int
    refusal: ObjectRefusedError | None
    refused_claims: set[Claim | None]
    unreachable: str | None = None
    """Why the store did not give the object, which is no fault of the object: it is as if it had not been listed."""


@dataclass
class Reading:
    """Objects that were read together: their rows are in the Parquet files of `paths`."""

    items: list[ReadObject]
    paths: list[Path]
    quarantine: QuarantineSpool

    def remove(self) -> None:
        """Delete the rows; the quarantine's entries are whoever's absorbed them."""
        for path in self.paths:
            path.unlink(missing_ok=True)


@dataclass(frozen=True)
class ReadingTask:
    """Objects of one source to read together. `scratch_dir` is the home's."""

    source: SourceConfig
    objects: tuple[StoredObject, ...]
    scratch_dir: Path


def read_task(
    engine: duckdb.DuckDBPyConnection,
    kind: SourceKind,
    task: ReadingTask,
    tell: Callable[[int], None] | None = None,
    downloads: Downloads | None = None,
) -> Reading:
    """Read the objects in turn; a refusal is in the result, never raised. `tell` hears of each object done."""
    if downloads is None:
        with closing(_open_downloads(task.source, task.objects, task.scratch_dir)) as own:
            return read_task(engine, kind, task, tell, own)
    folder = task.scratch_dir / "spool"
    quarantine = QuarantineSpool(task.source.name, kind.kind, folder)
    spool = RowSpool(engine, kind.table, kind.partition_date_sql, task.source.name, folder, quarantine)
    items: list[ReadObject] = []
    failures = 0
    for stored in task.objects:
        if failures >= _FAILURES_TO_GIVE_UP:
            items.append(
                ReadObject(stored, "", 0, 0, None, set(), f"{stored.uri}: not tried, after {failures} failures")
            )
            continue
        # A bill's delivery is all its parts together, known once all are read.
        is_bill = kind.refuses_whole_deliveries
        delivery_id = "" if is_bill else lake.hash_text(task.source.name, stored.uri, stored.etag)
        items.append(_read_object(task, kind, stored, spool.open_object(stored.uri, delivery_id), downloads))
        failures = failures + 1 if items[-1].unreachable else 0
        if tell:
            tell(1)
    spool.close()
    quarantine.close()
    return Reading(items, spool.paths, quarantine)


def _open_downloads(source: SourceConfig, objects: Sequence[StoredObject], scratch_dir: Path) -> Downloads:
    return Downloads(objects, source.options, scratch_dir / "objects")


def _read_object(
    task: ReadingTask, kind: SourceKind, stored: StoredObject, sink: ObjectSink, downloads: Downloads
) -> ReadObject:
    sha256 = ""
    refusal: ObjectRefusedError | None = None
    unreachable: str | None = None
    path: Path | None = None
    try:
        path = downloads.take(stored)
        sha256 = _hash_file(path)
        if not isinstance(stored, PulledObject) or stored.size_bytes:  # a server may have nothing of a window
            kind.read(SourceObject(stored.uri, path, stored.modified_at, task.source.options), sink)
        if isinstance(stored, PulledObject) and sink.rows_written + sink.rows_refused < stored.least_rows:
            raise AnswerShrankError(
                f"{sink.rows_written:,} rows, fewer than landed before, which are kept: "
                "the server has lost some since, or keeps them no longer"
            )
        sink.keep()
    except ObjectRefusedError as error:
        refusal = error
    except StorageError as error:
        if stored.is_local:
            refusal = ObjectRefusedError(str(error))
        else:
            unreachable = str(error)
    except Exception as error:
        if is_machine_fault(error):
            raise
        refusal = refuse_failed(kind.kind, sink.rows_written + sink.rows_refused, error)
    finally:
        if path is not None and not stored.is_local:
            path.unlink(missing_ok=True)
    if refusal is not None or unreachable is not None:
        sink.discard()
    return ReadObject(stored, sha256, sink.rows_written, sink.rows_refused, refusal, sink.refused_claims, unreachable)


class Readers:
    """Reads objects for one landing, and ends the reader processes with it."""

    def __init__(self, engine: duckdb.DuckDBPyConnection, scratch_dir: Path) -> None:
        self._engine = engine
        self._scratch_dir = scratch_dir
        self._pool: ReaderPool | None = None

    def is_worth_sharing(self, kind: SourceKind, objects: Collection[StoredObject]) -> bool:
        """True when reading takes so long that starting reader processes pays."""
        size_bytes = sum(_estimate_bytes(stored) for stored in objects)
        return (
            len(objects) > 1
            and size_bytes >= _POOL_BYTES
            and count_readers() > 1
            and KINDS.get(kind.kind) is kind  # another process finds a kind by its name
        )

    def read(
        self, source: SourceConfig, kind: SourceKind, objects: Sequence[StoredObject], tell: Callable[[int], None]
    ) -> list[Reading]:
        """All objects, in their order; bills one a reading. `tell` hears of each number of objects done.

        Raises `ReaderDiedError` when a reader process dies: then nothing of `objects` may be landed.
        """
        if not self.is_worth_sharing(kind, objects):
            groups = [(stored,) for stored in objects] if kind.refuses_whole_deliveries else [tuple(objects)]
            with closing(_open_downloads(source, objects, self._scratch_dir)) as downloads:
                return [
                    read_task(self._engine, kind, self._make_task(source, group), tell, downloads) for group in groups
                ]
        tasks = [self._make_task(source, group) for group in _group_objects(kind, objects)]
        if self._pool is None:
            self._pool = ReaderPool(count_readers())
        readings: dict[int, Reading] = {}
        for index, reading in self._pool.map(tasks):
            readings[index] = reading
            tell(len(reading.items))
        # By place and not by time, so that a landing does not depend on which reader was the quicker.
        return [readings[index] for index in range(len(tasks))]

    def close(self) -> None:
        """End the reader processes, whatever they are doing."""
        if self._pool is not None:
            self._pool.close()
            self._pool = None

    def _make_task(self, source: SourceConfig, objects: tuple[StoredObject, ...]) -> ReadingTask:
        return ReadingTask(source, objects, self._scratch_dir)


def count_readers() -> int:
    """Processors that this process may use, within what memory bears."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(usable, _MOST_READERS)


def _group_objects(kind: SourceKind, objects: Sequence[StoredObject]) -> Iterator[tuple[StoredObject, ...]]:
    """Neighbours together, in groups small enough that no reader is left waiting for long."""
    enough = sum(_estimate_bytes(stored) for stored in objects) / (count_readers() * _TASKS_PER_READER)
    group: list[StoredObject] = []
    for stored in objects:
        group.append(stored)
        if kind.refuses_whole_deliveries or sum(map(_estimate_bytes, group)) >= enough:
            yield tuple(group)
            group = []
    if group:
        yield tuple(group)


def _estimate_bytes(stored: StoredObject) -> int:
    return stored.size_bytes * (_GZIP_FACTOR if stored.uri.endswith(".gz") else 1)


def _hash_file(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
