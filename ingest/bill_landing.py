"""Landing of bills: a delivery replaces its slice whole, or is refused whole.

A slice is one (provider, billing account, billing period) of one scope, whichever source tells of it. A delivery is
what a manifest names, else the files of one folder that claim the slice; a newer one supersedes an older one, whichever
arrived first.
"""

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from typing import Any, Final, cast

import pyarrow as pa

from ingest import lake, slices
from ingest.bill_checks import find_fault, find_gap
from ingest.bill_scopes import name_slice, select_landed, tell_uncovered
from ingest.billing.claims import BillKind
from ingest.config import SourceConfig
from ingest.deliveries import Delivery, plan_deliveries, tell_vanished
from ingest.landing_run import LandingRun, SourceReport, hash_options, utc_text
from ingest.quarantine import QuarantineSpool
from ingest.read_ahead import ReadAhead
from ingest.reading import Reading, ReadObject
from ingest.registry import LANDED, REFUSED, STANDING, SUPERSEDED, RegistryRow, make_row, supersede
from ingest.source import SourceKind
from ingest.storage import StorageError, StoredObject, open_stream
from ingest.versions import get_folder, read_version

_LONGEST_MANIFEST_BYTES: Final = 64 << 20


@dataclass(frozen=True)
class _Claim:
    """One object's rows of one slice."""

    values: tuple[str | None, ...]
    partition_date: date
    row_count: int
    data_through_at: datetime | None


@dataclass
class _Part:
    """One object of a delivery that was read, with its rows on disk."""

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
class _Attempt:
    """One delivery, its parts read."""

    delivery: Delivery
    parts: list[_Part]
    touched: set[str]
    refused: dict[str, str] = field(default_factory=dict)  # slice key -> why
    superseded: dict[str, str] = field(default_factory=dict)
    landed: dict[str, str] = field(default_factory=dict)  # slice key -> version
    uncovered: dict[str, str] = field(default_factory=dict)  # slice key -> what only the superseded rows tell of


def land_bills(
    run: LandingRun,
    source: SourceConfig,
    kind: SourceKind,
    objects: Sequence[StoredObject],
    report: SourceReport,
    listed: Collection[str] | None = None,
) -> None:
    """Land the deliveries that have something new, changed or refused before, newest first. `listed` names what the
    source has, where `objects` is not all of it.
    """
    known = run.registry.read_source(source.name)

    def read_payload(stored: StoredObject) -> bytes:
        with open_stream(stored, source.options) as stream:
            return stream.read(_LONGEST_MANIFEST_BYTES)

    try:
        plan = plan_deliveries(objects, known, hash_options(source), read_payload, source, run.find_again(source, kind))
    except StorageError as error:
        report.note_unreachable([str(error)])
        return
    report.deliveries_unchanged += plan.unchanged_count
    report.messages += tell_vanished(known, {item.uri for item in objects} if listed is None else listed)
    wanted = [item for each in plan.deliveries if not each.refusal for item in each.objects if item.uri in each.pending]
    ahead = ReadAhead(run, source, kind, wanted)
    landing = _DeliveryLanding(run, source, cast(BillKind, kind), report, ahead)
    for delivery in plan.deliveries:
        landing.land(delivery)
    landing.set_aside(plan.set_aside)


class _DeliveryLanding:
    """Reads a delivery's objects and lands, supersedes or refuses each slice that they claim."""

    def __init__(
        self, run: LandingRun, source: SourceConfig, kind: BillKind, report: SourceReport, ahead: ReadAhead
    ) -> None:
        self._run = run
        self._source = source
        self._kind = kind
        self._report = report
        self._ahead = ahead
        self._options_id = hash_options(source)
        self._quarantine = self._open_quarantine()

    def land(self, delivery: Delivery) -> None:
        self._quarantine = self._open_quarantine()
        if delivery.refusal is not None:
            self._refuse_manifest(delivery, delivery.refusal)
            return
        parts = [self._read(item) for item in delivery.objects if item.uri in delivery.pending]
        touched = {key for part in parts for key in part.claims}
        touched |= {row.slice_key for part in parts for row in part.had if row.status == LANDED}
        known = self._run.registry.read_source(self._source.name)
        for item in delivery.objects:
            # The other parts of a touched slice: its rows are the parts' together.
            if item.uri not in delivery.pending and any(row.slice_key in touched for row in known[item.uri]):
                parts.append(self._read(item))
        unreachable = [part.item.unreachable for part in parts if part.item.unreachable]
        if unreachable:
            # Half a bill is a wrong bill.
            self._report.note_unreachable(unreachable)
            for part in parts:
                part.reading.remove()
            return
        attempt = _Attempt(delivery, parts, touched)
        self._refuse_bad(attempt)
        self._judge_slices(attempt)
        self._name_held_back(attempt)
        self._commit(attempt)
        for part in parts:
            part.reading.remove()

    def set_aside(self, objects: Sequence[tuple[StoredObject, str]]) -> None:
        """Remember what is no part of a delivery, so that it is no news the next time."""
        known = self._run.registry.read_source(self._source.name)
        self._run.registry.record(
            [
                make_row(self._describe(item, f"m:{utc_text(item.modified_at)}"), "", (SUPERSEDED, why, 0, 0, 0), None)
                for item, why in objects
                if not any(row.status in STANDING for row in known.get(item.uri, ()))
            ]
        )

    def _open_quarantine(self) -> QuarantineSpool:
        return QuarantineSpool(self._source.name, self._kind.kind, self._run.spool_dir)

    def _describe(self, stored: StoredObject, version: str, sha256: str = "") -> dict[str, Any]:
        """What the registry says of an object, whatever came of it."""
        return {
            "source_name": self._source.name,
            "source_kind": self._kind.kind,
            "table_name": self._kind.table.name,
            "version": version,
            "object_uri": stored.uri,
            "etag": stored.etag,
            "sha256": sha256,
            "options_sha256": self._options_id,
        }

    def _refuse_manifest(self, delivery: Delivery, why: str) -> None:
        """Nothing of the delivery is read; what it landed before stands."""
        manifest = delivery.manifest
        assert manifest is not None
        self._quarantine.add(manifest.uri, "delivery", None, None, why)
        self._report.messages.append(f"{manifest.uri}: {why}")
        self._report.deliveries_refused += 1
        self._run.replace_quarantine(self._source.name, [manifest.uri], self._quarantine)
        had = self._run.registry.read_source(self._source.name).get(manifest.uri, [])
        standing = [row for row in had if row.status == LANDED]
        refused = make_row(self._describe(manifest, delivery.version), "", (REFUSED, why, 0, 0, 0), None)
        self._run.registry.record([*standing, refused])

    def _record_manifest(self, delivery: Delivery) -> list[RegistryRow]:
        manifest = delivery.manifest
        if manifest is None:
            return []
        told = f"names {len(delivery.objects)} part(s)"
        if delivery.note:
            told = delivery.note
            self._report.messages.append(f"{manifest.uri}: {delivery.note}")
        return [make_row(self._describe(manifest, delivery.version), "", (LANDED, told, 0, 0, 0), None)]

    def _read(self, stored: StoredObject) -> _Part:
        run, kind = self._run, self._kind
        reading = self._ahead.take(stored)
        self._quarantine.absorb(reading.quarantine)
        item = reading.items[0]
        claims: dict[str, _Claim] = {}
        if item.refusal is None and item.unreachable is None:
            sql = slices.scan_spool_sql(kind.table, reading.paths)
            columns = ", ".join(kind.claim_columns)
            through = slices.DATA_THROUGH_SQL[kind.table.name]
            found = run.engine.execute(
                f"""select {columns}, {kind.table.partition}, count(*), max({through}) from ({sql})
                group by {columns}, {kind.table.partition}"""
            ).fetchall()
            for *values, partition_date, row_count, data_through_at in found:
                claim = _Claim(tuple(values), partition_date, row_count, data_through_at)
                claims[name_slice(self._source, claim.values, partition_date)] = claim
        return _Part(reading, claims, run.registry.read_source(self._source.name).get(stored.uri, []))

    def _refuse_bad(self, attempt: _Attempt) -> None:
        """Half a bill is a wrong bill: what a bad part claims is refused, and all when its claims are unknown."""
        for part in attempt.parts:
            if not part.is_bad:
                gap = find_gap(self._run, self._kind.table, self._source, part.reading, attempt.delivery)
                self._refuse(attempt, part.claims or attempt.touched, gap)
                continue
            uri, refusal = part.item.stored.uri, part.item.refusal
            told = refusal.reason if refusal else f"{part.item.rows_refused} malformed row(s), named in quarantine"
            if refusal is not None:
                self._quarantine.refuse_object(uri, refusal)
            self._refuse(attempt, self._list_bad_slices(attempt, part), f"{uri}: {told}")

    def _refuse(self, attempt: _Attempt, keys: Collection[str], why: str | None) -> None:
        if why is not None:
            self._report.messages.append(why)
            attempt.refused |= {key: attempt.refused.get(key, why) for key in keys}

    def _list_bad_slices(self, attempt: _Attempt, part: _Part) -> set[str]:
        told = part.item.refused_claims
        if part.item.refusal is not None or not told or None in told:
            return attempt.touched
        spoiled = {name_slice(self._source, claim[0], claim[1]) for claim in told if claim is not None}
        return {*part.claims, *spoiled, *(row.slice_key for row in part.had if row.status == LANDED)}

    def _judge_slices(self, attempt: _Attempt) -> None:
        for key in sorted(attempt.touched - attempt.refused.keys()):
            parts = [part for part in attempt.parts if key in part.claims]
            if not parts:
                told = f"no file claims {key} any more; what was landed is kept"
                self._report.messages.append(f"{attempt.delivery.uri}: {told}")
                continue
            delivery, stored = attempt.delivery, [part.item.stored for part in parts]
            version = self._read_version(delivery, stored)
            others = [
                row
                for row in self._run.registry.read_slice(self._kind.table, key)
                if row.status in STANDING
                and not (row.source_name == self._source.name and delivery.owns(row.object_uri))
            ]
            newest = max(others, key=lambda row: row.version, default=None)
            if newest is not None and newest.version > version:
                lost = self._tell_uncovered(key, self._select_slice(key, parts), self._select_landed(key))
                by = f"{get_folder(newest.object_uri)} of source {newest.source_name}"
                attempt.superseded[key] = f"superseded by {by}{lost}"
            elif why := find_fault(self._run, self._kind, key, self._select_slice(key, parts), delivery, stored):
                self._refuse(attempt, [key], why)
            else:
                attempt.landed[key] = version
                if others:
                    lost = self._tell_uncovered(key, self._select_landed(key), self._select_slice(key, parts))
                    attempt.uncovered[key] = lost

    def _select_landed(self, key: str) -> str:
        return select_landed(self._run, self._kind.table, key)

    def _tell_uncovered(self, key: str, loser_sql: str, winner_sql: str) -> str:
        told = tell_uncovered(self._run, self._kind, loser_sql, winner_sql)
        if told:
            self._report.messages.append(f"{key}: one export superseded another{told}")
        return told

    def _name_held_back(self, attempt: _Attempt) -> None:
        for part in attempt.parts:
            for key in sorted(part.claims.keys() & attempt.refused.keys()):
                reason = f"{part.claims[key].row_count} rows held back with their delivery: {attempt.refused[key]}"
                self._quarantine.add(part.item.stored.uri, "delivery", None, None, reason, key)

    def _read_version(self, delivery: Delivery, objects: Sequence[StoredObject]) -> str:
        return delivery.version if delivery.manifest is not None else read_version(delivery.uri, objects)

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

    def _commit(self, attempt: _Attempt) -> None:
        """Data, then quarantine, then registry: killed anywhere, the next run reads the delivery again."""
        run, kind = self._run, self._kind
        rows: list[slices.SliceRows] = []
        for key in attempt.landed:
            parts = [part for part in attempt.parts if key in part.claims]
            day = parts[0].claims[key].partition_date
            rows.append(slices.SliceRows(lake.hash_text(key), day, self._select_slice(key, parts)))
        if rows:
            slices.swap_slices(run.home, run.engine, kind.table, rows)
        for key in attempt.touched:
            run.engine.unregister(f"claim_{lake.hash_text(key)}")
        uris = [part.item.stored.uri for part in attempt.parts]
        if attempt.delivery.manifest is not None:
            uris.append(attempt.delivery.manifest.uri)
        run.replace_quarantine(self._source.name, uris, self._quarantine)
        recorded = [row for part in attempt.parts for row in self._make_rows(attempt, part)]
        run.registry.record([*recorded, *self._supersede(attempt), *self._record_manifest(attempt.delivery)])

    def _supersede(self, attempt: _Attempt) -> list[RegistryRow]:
        """The registry rows of objects whose slices this delivery took over, with all else they say."""
        read = {part.item.stored.uri for part in attempt.parts}
        changed: dict[tuple[str, str], dict[str, RegistryRow]] = defaultdict(dict)
        for key in attempt.landed:
            for row in self._run.registry.read_slice(self._kind.table, key):
                if row.status in STANDING and not (row.source_name == self._source.name and row.object_uri in read):
                    lost = attempt.uncovered.get(key, "")
                    message = f"superseded by {attempt.delivery.uri} of source {self._source.name}{lost}"
                    changed[row.source_name, row.object_uri][key] = supersede(row, message)
        rows: list[RegistryRow] = []
        for (source_name, uri), by_key in changed.items():
            for row in self._run.registry.read_source(source_name)[uri]:
                rows.append(by_key.get(row.slice_key, row) if row.status in STANDING else row)
        return rows

    def _make_rows(self, attempt: _Attempt, part: _Part) -> list[RegistryRow]:
        """What the registry says of one part from now on; counts it in the report on the way."""
        version = self._read_version(attempt.delivery, [part.item.stored])
        base = self._describe(part.item.stored, version, part.item.sha256)
        rows: list[RegistryRow] = []
        bad_rows = part.item.rows_refused
        for key, claim in part.claims.items():
            if key not in attempt.touched:
                continue
            count = claim.row_count
            if key in attempt.landed:
                outcome = (LANDED, None, count, count, 0)
                base["version"] = attempt.landed[key]
            elif key in attempt.superseded:
                outcome = (SUPERSEDED, attempt.superseded[key], 0, 0, 0)
            else:
                outcome = (REFUSED, attempt.refused[key], count + bad_rows, 0, count + bad_rows)
                bad_rows = 0
            rows.append(make_row(base, key, outcome, claim.data_through_at if outcome[0] == LANDED else None))
        if not part.claims:
            why = part.item.refusal.reason if part.item.refusal else f"{bad_rows} malformed row(s), named in quarantine"
            seen = part.item.rows_written + bad_rows
            if part.item.refusal or bad_rows:
                rows.append(make_row(base, "", (REFUSED, why, seen, 0, seen), None))
            else:
                rows.append(make_row(base, "", (LANDED, "no rows", 0, 0, 0), None))
        self._count(part, rows)
        taken = {row.slice_key for row in rows if row.status != REFUSED}
        return [*rows, *self._list_standing(attempt, part, taken)]

    def _list_standing(self, attempt: _Attempt, part: _Part, taken: Collection[str]) -> list[RegistryRow]:
        """What the part landed before and this delivery did not replace: refused now, or not claimed any more."""
        standing: list[RegistryRow] = []
        for row in part.had:
            if row.status in STANDING and row.slice_key not in taken and row.slice_key not in attempt.landed:
                is_sibling = row.slice_key not in attempt.touched
                message = row.message if is_sibling else "an earlier version of the object; kept"
                now = replace(row, etag=part.item.stored.etag, options_sha256=self._options_id, message=message)
                standing.append(now)
            elif row.status == SUPERSEDED and row.slice_key and row.slice_key not in attempt.touched:
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
