"""Landing of logs and telemetry: each object owns its rows, and many objects go into one commit."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final

from ingest import lake, slices
from ingest.config import SourceConfig
from ingest.control_totals import record_totals
from ingest.landing_run import LandingRun, SourceReport, hash_options, needs_reading, utc_text
from ingest.quarantine import QuarantineSpool
from ingest.reading import AnswerShrankError, Reading, ReadObject
from ingest.registry import LANDED, REFUSED, STANDING, RegistryRow, supersede
from ingest.source import SourceKind
from ingest.storage import StoredObject

_BATCH_BYTES: Final = 256 << 20
_BATCH_OBJECTS: Final = 10_000


def land_logs(
    run: LandingRun, source: SourceConfig, kind: SourceKind, objects: Sequence[StoredObject], report: SourceReport
) -> None:
    """Land the objects that are new, changed or refused before; a malformed row costs that row alone."""
    known = run.registry.read_source(source.name)
    options_id = hash_options(source)
    again = run.find_again(source, kind)
    pending = [item for item in objects if item.uri in again or needs_reading(known.get(item.uri), item, options_id)]
    report.deliveries_unchanged += len(objects) - len(pending)
    done = 0

    def tell(count: int) -> None:
        nonlocal done
        done += count
        if run.progress:
            run.progress(source.name, done, len(pending))

    for batch in _batch_objects(pending):
        readings = run.readers.read(source, kind, batch, tell)
        _commit_batch(run, source, kind, readings, known, report)
        for reading in readings:
            reading.remove()


def settle_withdrawn(
    run: LandingRun, source: SourceConfig, kind: SourceKind, listed: Collection[str], report: SourceReport
) -> None:
    """Objects that landed and are no longer at the source: their rows are kept, or go where the source says so.

    A store keeps logs for some weeks, the company keeps its history; a source that lists nothing at all has lost its
    folder, not its past.
    """
    known = run.registry.read_source(source.name)
    gone = {
        uri: rows
        for uri, rows in known.items()
        if uri not in listed and any(row.status == LANDED and row.rows_landed for row in rows)
    }
    if not gone:
        return
    row_count = sum(row.rows_landed for rows in gone.values() for row in rows)
    told = f"{len(gone):,} object(s) that landed {row_count:,} rows are no longer at the source"
    if source.options.get("withdrawn", "keep") == "keep" or not listed:
        report.messages.append(f"{told}: the rows are kept")
        return
    slices.swap_objects(
        run.home,
        run.engine,
        kind.table,
        lake.hash_text("withdrawn", source.name, *gone),
        [],
        known_uris=list(gone),
        unsure_uris=[],
        registered_slice_ids=run.registry.list_slice_keys(kind.table),
    )
    run.registry.record([supersede(row, "no longer at the source") for rows in gone.values() for row in rows])
    report.messages.append(f"{told}: the rows are removed, as options.withdrawn of the source says")


def _batch_objects(objects: Sequence[StoredObject]) -> Iterator[list[StoredObject]]:
    batch: list[StoredObject] = []
    size_bytes = 0
    for stored in objects:
        if batch and (size_bytes + stored.size_bytes > _BATCH_BYTES or len(batch) >= _BATCH_OBJECTS):
            yield batch
            batch, size_bytes = [], 0
        batch.append(stored)
        size_bytes += stored.size_bytes
    if batch:
        yield batch


def _commit_batch(
    run: LandingRun,
    source: SourceConfig,
    kind: SourceKind,
    readings: Sequence[Reading],
    known: dict[str, list[RegistryRow]],
    report: SourceReport,
) -> None:
    """Data, then quarantine, then registry: killed anywhere, the next run reads the batch again and ends the same."""
    read = [item for reading in readings for item in reading.items if item.unreachable is None]
    report.note_unreachable(item.unreachable for reading in readings for item in reading.items)
    paths = [path for reading in readings for path in reading.paths]
    refused = QuarantineSpool(source.name, kind.kind, run.spool_dir)
    for reading in readings:
        refused.absorb(reading.quarantine)
    kept = [item for item in read if item.refusal is None]
    slice_id = lake.hash_text(source.name, *(f"{item.stored.uri}\n{item.stored.etag}" for item in kept))
    uris = [item.stored.uri for item in kept]
    if kept:
        slices.swap_objects(
            run.home,
            run.engine,
            kind.table,
            slice_id,
            paths,
            known_uris=[uri for uri in uris if run.registry.find_owners(kind.table, uri)],
            unsure_uris=[uri for uri in uris if not run.registry.find_owners(kind.table, uri)],
            registered_slice_ids=run.registry.list_slice_keys(kind.table),
        )
        record_totals(run.home, run.engine, kind.table, {slice_id: slices.scan_spool_sql(kind.table, paths)})
    ends, repairs = slices.summarize_spool(run.engine, kind.table, paths)
    report.repairs.update(repairs)
    rows: list[RegistryRow] = []
    for item in read:
        if isinstance(item.refusal, AnswerShrankError):
            report.deliveries_unchanged += 1
            report.messages.append(f"{item.stored.uri}: {item.refusal.reason}")
            continue
        if item.refusal is not None:
            refused.refuse_object(item.stored.uri, item.refusal)
            report.messages.append(f"{item.stored.uri}: {item.refusal.reason}")
        rows += _make_rows(source, kind, slice_id, item, ends.get(item.stored.uri), known.get(item.stored.uri, []))
        report.count(item)
    run.replace_quarantine(source.name, [item.stored.uri for item in read], refused)
    run.registry.record([*rows, *_take_over(run, source, kind, uris)])


def _take_over(run: LandingRun, source: SourceConfig, kind: SourceKind, uris: Sequence[str]) -> list[RegistryRow]:
    """An object counts once: another source that landed it, such as this one by its former name, has it no more."""
    return [
        supersede(row, f"landed by source {source.name}")
        for uri in uris
        for owner in run.registry.find_owners(kind.table, uri)
        if owner != source.name
        for row in run.registry.read_source(owner)[uri]
    ]


def _make_rows(
    source: SourceConfig,
    kind: SourceKind,
    slice_id: str,
    item: ReadObject,
    data_through_at: datetime | None,
    had: Sequence[RegistryRow],
) -> list[RegistryRow]:
    refused = item.refusal is not None
    rows_seen = item.rows_written + item.rows_refused
    row = RegistryRow(
        source_name=source.name,
        source_kind=kind.kind,
        table_name=kind.table.name,
        slice_key=slice_id,
        version=utc_text(item.stored.modified_at),
        object_uri=item.stored.uri,
        etag=item.stored.etag,
        sha256=item.sha256,
        options_sha256=hash_options(source),
        status=REFUSED if refused else LANDED,
        message=item.refusal.reason if item.refusal else None,
        rows_read=rows_seen,
        rows_landed=0 if refused else item.rows_written,
        rows_quarantined=rows_seen if refused else item.rows_refused,
        data_through_at=None if refused else data_through_at,
    )
    # What the object said before it was spoiled stays in the lake, so its row stays too.
    standing = [before for before in had if before.status in STANDING] if refused else []
    return [*standing, row if not refused else replace(row, slice_key="")]
