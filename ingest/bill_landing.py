"""Landing of bills: a delivery replaces its slice whole, or is refused whole.

A slice is one (provider, billing account, billing period), whichever source tells of it. A delivery is the files of
one folder that claim it; a newer folder supersedes an older one, whichever arrived first.
"""

import json
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from typing import Any, ClassVar, Final, Protocol, cast

import pyarrow as pa

from ingest import lake, slices
from ingest.config import SourceConfig
from ingest.landing_run import LandingRun, SourceReport, hash_options, needs_reading
from ingest.quarantine import QuarantineSpool
from ingest.reading import Reading, ReadObject
from ingest.registry import LANDED, REFUSED, SUPERSEDED, RegistryRow, supersede
from ingest.source import SourceKind
from ingest.storage import StoredObject
from ingest.versions import get_folder, read_version

_AHEAD_BYTES: Final = 256 << 20  # bounds what is on disk of folders whose turn has not come


class BillKind(SourceKind, Protocol):
    """A kind whose rows claim slices: by the values of these columns and the partition date."""

    claim_columns: ClassVar[tuple[str, ...]]


@dataclass(frozen=True)
class _Claim:
    """One object's rows of one slice."""

    values: tuple[str | None, ...]
    partition_date: date
    row_count: int
    data_through_at: datetime | None


@dataclass
class _Part:
    """One object of a folder that was read, with its rows on disk."""

    reading: Reading
    claims: dict[str, _Claim]
    had: list[RegistryRow]

    @property
    def item(self) -> ReadObject:
        return self.reading.items[0]

    @property
    def is_bad(self) -> bool:
        return self.item.refusal is not None or self.item.rows_refused > 0


@dataclass
class _Folder:
    """One folder's delivery attempt."""

    uri: str
    parts: list[_Part]
    touched: set[str]
    refused: dict[str, str] = field(default_factory=dict)  # slice key -> why
    superseded: dict[str, str] = field(default_factory=dict)
    landed: dict[str, str] = field(default_factory=dict)  # slice key -> version


def land_bills(
    run: LandingRun, source: SourceConfig, kind: SourceKind, objects: Sequence[StoredObject], report: SourceReport
) -> None:
    """Land the folders that have something new, changed or refused before, newest folder first."""
    known = run.registry.read_source(source.name)
    options_id = hash_options(source)
    folders: dict[str, list[StoredObject]] = defaultdict(list)
    for stored in objects:
        folders[get_folder(stored.uri)].append(stored)
    pending = {item.uri for item in objects if needs_reading(known.get(item.uri), item, options_id)}
    report.deliveries_unchanged += len(objects) - len(pending)
    _tell_vanished(known, {item.uri for item in objects}, report)
    # Newest first, so that what is superseded is never written.
    ordered = sorted(folders, key=lambda uri: read_version(uri, folders[uri]), reverse=True)
    ahead = _ReadAhead(run, source, kind, [item for uri in ordered for item in folders[uri] if item.uri in pending])
    for folder in ordered:
        if any(item.uri in pending for item in folders[folder]):
            _FolderLanding(run, source, cast(BillKind, kind), report, ahead).land(folder, folders[folder], pending)


def _tell_vanished(known: Mapping[str, list[RegistryRow]], listed: Collection[str], report: SourceReport) -> None:
    for uri, rows in known.items():
        kept = [row.slice_key for row in rows if row.status == LANDED]
        if kept and uri not in listed:
            report.messages.append(f"{uri}: no longer at the source; what it landed is kept: {', '.join(kept)}")


class _ReadAhead:
    """Reads pending objects in the order they are asked for; the next ones with the first, where readers can share."""

    def __init__(
        self, run: LandingRun, source: SourceConfig, kind: SourceKind, pending: Sequence[StoredObject]
    ) -> None:
        self._run = run
        self._source = source
        self._kind = kind
        self._pending = list(pending)
        self._read: dict[str, Reading] = {}
        self._total = len(pending)
        self._done = 0

    def take(self, stored: StoredObject) -> Reading:
        if stored.uri not in self._read:
            wanted = self._list_next(stored)
            self._pending = [item for item in self._pending if item not in wanted]
            readings = self._run.readers.read(self._source, self._kind, wanted, self._tell)
            self._read |= {reading.items[0].stored.uri: reading for reading in readings}
        return self._read.pop(stored.uri)

    def _list_next(self, stored: StoredObject) -> list[StoredObject]:
        following: list[StoredObject] = []
        size_bytes = stored.size_bytes
        for item in self._pending:
            if item.uri == stored.uri:
                continue
            size_bytes += item.size_bytes
            if size_bytes > _AHEAD_BYTES:
                break
            following.append(item)
        wanted = [stored, *following]
        return wanted if self._run.readers.is_worth_sharing(self._kind, wanted) else [stored]

    def _tell(self, count: int) -> None:
        self._done += count
        if self._run.progress:
            self._run.progress(self._source.name, min(self._done, self._total), self._total)


class _FolderLanding:
    """Reads one folder's files and lands, supersedes or refuses each slice that they claim."""

    def __init__(
        self, run: LandingRun, source: SourceConfig, kind: BillKind, report: SourceReport, ahead: _ReadAhead
    ) -> None:
        self._run = run
        self._source = source
        self._kind = kind
        self._report = report
        self._ahead = ahead
        self._options_id = hash_options(source)
        self._quarantine = QuarantineSpool(source.name, kind.kind, run.spool_dir)

    def land(self, uri: str, objects: Sequence[StoredObject], pending: Collection[str]) -> None:
        parts = [self._read(item) for item in objects if item.uri in pending]
        touched = {key for part in parts for key in part.claims}
        touched |= {row.slice_key for part in parts for row in part.had if row.status == LANDED}
        known = self._run.registry.read_source(self._source.name)
        for item in objects:
            # The other parts of a touched slice: its rows are the parts' together.
            if item.uri not in pending and any(row.slice_key in touched for row in known[item.uri]):
                parts.append(self._read(item))
        folder = _Folder(uri, parts, touched)
        self._refuse_bad(folder)
        self._judge_slices(folder)
        self._name_held_back(folder)
        self._commit(folder)
        for part in parts:
            part.reading.remove()

    def _read(self, stored: StoredObject) -> _Part:
        run, kind = self._run, self._kind
        reading = self._ahead.take(stored)
        self._quarantine.absorb(reading.quarantine)
        item = reading.items[0]
        claims: dict[str, _Claim] = {}
        if item.refusal is None:
            sql = slices.scan_spool_sql(kind.table, reading.paths)
            columns = ", ".join(kind.claim_columns)
            through = slices.DATA_THROUGH_SQL[kind.table.name]
            found = run.engine.execute(
                f"""select {columns}, {kind.table.partition}, count(*), max({through}) from ({sql})
                group by {columns}, {kind.table.partition}"""
            ).fetchall()
            for *values, partition_date, row_count, data_through_at in found:
                claim = _Claim(tuple(values), partition_date, row_count, data_through_at)
                claims[self._name_slice(claim.values, partition_date)] = claim
        return _Part(reading, claims, run.registry.read_source(self._source.name).get(stored.uri, []))

    def _name_slice(self, values: Sequence[str | None], partition_date: date) -> str:
        # A bill that does not say whose it is can be told from another one by its source alone.
        owner = [] if all(values) else [f"source {self._source.name}"]
        return json.dumps([*owner, *values, str(partition_date)], ensure_ascii=False)

    def _refuse_bad(self, folder: _Folder) -> None:
        """Half a bill is a wrong bill: what a bad part claims is refused, and all when its claims are unknown."""
        for part in folder.parts:
            if not part.is_bad:
                continue
            uri, refusal = part.item.stored.uri, part.item.refusal
            if refusal is not None:
                self._quarantine.refuse_object(uri, refusal)
                why = f"{uri}: {refusal.reason}"
            else:
                why = f"{uri}: {part.item.rows_refused} malformed row(s), named in quarantine"
            self._report.messages.append(why)
            for key in self._list_bad_slices(folder, part):
                folder.refused.setdefault(key, why)

    def _list_bad_slices(self, folder: _Folder, part: _Part) -> set[str]:
        told = part.item.refused_claims
        if part.item.refusal is not None or not told or None in told:
            return folder.touched
        spoiled = {self._name_slice(claim[0], claim[1]) for claim in told if claim is not None}
        return {*part.claims, *spoiled, *(row.slice_key for row in part.had if row.status == LANDED)}

    def _judge_slices(self, folder: _Folder) -> None:
        for key in sorted(folder.touched - folder.refused.keys()):
            parts = [part for part in folder.parts if key in part.claims]
            if not parts:
                self._report.messages.append(f"{folder.uri}: no file claims {key} any more; what was landed is kept")
                continue
            version = read_version(folder.uri, [part.item.stored for part in parts])
            newer = max(
                (
                    row
                    for row in self._run.registry.read_slice(self._kind.table, key)
                    if row.status == LANDED
                    and (row.source_name, get_folder(row.object_uri)) != (self._source.name, folder.uri)
                    and row.version > version
                ),
                key=lambda row: row.version,
                default=None,
            )
            if newer is not None:
                folder.superseded[key] = f"superseded by {get_folder(newer.object_uri)} of source {newer.source_name}"
            elif len(parts) > 1 and (why := self._find_repeated_row(key, parts)):
                folder.refused[key] = why
                self._report.messages.append(why)
            else:
                folder.landed[key] = version

    def _name_held_back(self, folder: _Folder) -> None:
        for part in folder.parts:
            for key in sorted(part.claims.keys() & folder.refused.keys()):
                reason = f"{part.claims[key].row_count} rows held back with their delivery: {folder.refused[key]}"
                self._quarantine.add(part.item.stored.uri, "delivery", None, None, reason, key)

    def _find_repeated_row(self, key: str, parts: Sequence[_Part]) -> str | None:
        """A sentence when two parts of a slice hold the same row."""
        content = ", ".join(name for name in slices.list_content_columns(self._kind.table))
        found = self._run.engine.execute(
            f"""select array_agg(_object || ' line ' || _position order by _object, _position)
            from ({self._select_slice(key, parts)}) group by hash({content}), hash(1, {content})
            having count(distinct _object) > 1 limit 1"""
        ).fetchone()
        if found is None:
            return None
        return (
            f"the same row stands in two parts of {key}: {' and '.join(found[0][:2])}. "
            "Keep one copy in the folder; each part must hold rows of its own"
        )

    def _select_slice(self, key: str, parts: Sequence[_Part]) -> str:
        """A select of the slice's rows, stamped with the delivery that they make up together."""
        values = parts[0].claims[key].values
        delivery_id = lake.hash_text(
            self._source.name, key, *sorted(f"{part.item.stored.uri}\n{part.item.stored.etag}" for part in parts)
        )
        claims = f"claim_{lake.hash_text(key)}"
        claim = pa.table(
            {name: pa.array([value], pa.string()) for name, value in zip(self._kind.claim_columns, values, strict=True)}
        )
        self._run.engine.register(claims, claim)
        paths = [path for part in parts for path in part.reading.paths]
        partition = self._kind.table.partition
        matches = " and ".join(f"c.{name} is not distinct from s.{name}" for name in self._kind.claim_columns)
        return (
            f"select s.* replace ('{delivery_id}' as _delivery_id) "
            f"from ({slices.scan_spool_sql(self._kind.table, paths)}) as s semi join {claims} as c on {matches} "
            f"where s.{partition} = date '{parts[0].claims[key].partition_date}'"
        )

    def _commit(self, folder: _Folder) -> None:
        """Data, then quarantine, then registry: killed anywhere, the next run reads the folder again."""
        run, kind = self._run, self._kind
        rows: list[slices.SliceRows] = []
        for key in folder.landed:
            parts = [part for part in folder.parts if key in part.claims]
            day = parts[0].claims[key].partition_date
            rows.append(slices.SliceRows(lake.hash_text(key), day, self._select_slice(key, parts)))
        if rows:
            slices.swap_slices(run.home, run.engine, kind.table, rows)
        for key in folder.touched:
            run.engine.unregister(f"claim_{lake.hash_text(key)}")
        run.replace_quarantine(self._source.name, [part.item.stored.uri for part in folder.parts], self._quarantine)
        recorded = [row for part in folder.parts for row in self._make_rows(folder, part)]
        run.registry.record([*recorded, *self._supersede(folder)])

    def _supersede(self, folder: _Folder) -> list[RegistryRow]:
        """The registry rows of objects whose slices this folder took over, with all else they say."""
        read = {part.item.stored.uri for part in folder.parts}
        changed: dict[tuple[str, str], dict[str, RegistryRow]] = defaultdict(dict)
        for key in folder.landed:
            for row in self._run.registry.read_slice(self._kind.table, key):
                if row.status == LANDED and not (row.source_name == self._source.name and row.object_uri in read):
                    message = f"superseded by {folder.uri} of source {self._source.name}"
                    changed[row.source_name, row.object_uri][key] = supersede(row, message)
        rows: list[RegistryRow] = []
        for (source_name, uri), by_key in changed.items():
            for row in self._run.registry.read_source(source_name)[uri]:
                rows.append(by_key.get(row.slice_key, row) if row.status == LANDED else row)
        return rows

    def _make_rows(self, folder: _Folder, part: _Part) -> list[RegistryRow]:
        """What the registry says of one part from now on; counts it in the report on the way."""
        base: dict[str, Any] = {
            "source_name": self._source.name,
            "source_kind": self._kind.kind,
            "table_name": self._kind.table.name,
            "version": read_version(folder.uri, [part.item.stored]),
            "object_uri": part.item.stored.uri,
            "etag": part.item.stored.etag,
            "sha256": part.item.sha256,
            "options_sha256": self._options_id,
        }
        rows: list[RegistryRow] = []
        bad_rows = part.item.rows_refused
        for key, claim in part.claims.items():
            if key not in folder.touched:
                continue
            count = claim.row_count
            if key in folder.landed:
                outcome = (LANDED, None, count, count, 0)
                base["version"] = folder.landed[key]
            elif key in folder.superseded:
                outcome = (SUPERSEDED, folder.superseded[key], 0, 0, 0)
            else:
                outcome = (REFUSED, folder.refused[key], count + bad_rows, 0, count + bad_rows)
                bad_rows = 0
            rows.append(_row(base, key, outcome, claim.data_through_at if outcome[0] == LANDED else None))
        if not part.claims:
            why = part.item.refusal.reason if part.item.refusal else f"{bad_rows} malformed row(s), named in quarantine"
            seen = part.item.rows_written + bad_rows
            if part.item.refusal or bad_rows:
                rows.append(_row(base, "", (REFUSED, why, seen, 0, seen), None))
            else:
                rows.append(_row(base, "", (LANDED, "no rows", 0, 0, 0), None))
        self._count(part, rows)
        taken = {row.slice_key for row in rows if row.status != REFUSED}
        return [*rows, *self._list_standing(folder, part, taken)]

    def _list_standing(self, folder: _Folder, part: _Part, taken: Collection[str]) -> list[RegistryRow]:
        """What the part landed before and this delivery did not replace: refused now, or not claimed any more."""
        standing: list[RegistryRow] = []
        for row in part.had:
            if row.status == LANDED and row.slice_key not in taken and row.slice_key not in folder.landed:
                is_sibling = row.slice_key not in folder.touched
                message = row.message if is_sibling else "an earlier version of the object; kept"
                now = replace(row, etag=part.item.stored.etag, options_sha256=self._options_id, message=message)
                standing.append(now)
            elif row.status == SUPERSEDED and row.slice_key not in folder.touched:
                standing.append(row)
        return standing

    def _count(self, part: _Part, rows: Sequence[RegistryRow]) -> None:
        report = self._report
        statuses = {row.status for row in rows}
        if REFUSED in statuses:
            report.deliveries_refused += 1
        elif LANDED in statuses:
            report.deliveries_landed += 1
        else:
            report.deliveries_superseded += 1
        report.rows_read += sum(row.rows_read for row in rows)
        report.rows_landed += sum(row.rows_landed for row in rows)
        report.rows_quarantined += sum(row.rows_quarantined for row in rows)
        if LANDED in statuses:
            _, repairs = slices.summarize_spool(self._run.engine, self._kind.table, part.reading.paths)
            report.repairs.update(repairs)


def _row(
    base: Mapping[str, Any], key: str, outcome: tuple[str, str | None, int, int, int], data_through_at: datetime | None
) -> RegistryRow:
    status, message, rows_read, rows_landed, rows_quarantined = outcome
    return RegistryRow(
        **base,
        slice_key=key,
        status=status,
        message=message,
        rows_read=rows_read,
        rows_landed=rows_landed,
        rows_quarantined=rows_quarantined,
        data_through_at=data_through_at,
    )
