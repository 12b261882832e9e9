"""Landing of bills: a delivery replaces its slice whole, or is refused whole.

A slice is one (provider, billing account, billing period) of one scope, whichever source tells of it. A delivery is
what a manifest names, else the files of one folder that claim the slice; a newer one supersedes an older one, whichever
arrived first.
"""

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Any, Final, cast

from ingest import lake, slices
from ingest.acceptances import book_uses
from ingest.bill_attempt import Attempt, Part, SliceClaim, name_claims, select_slice
from ingest.bill_judgement import BillJudge, read_delivery_version
from ingest.bill_scopes import name_slice
from ingest.bill_through import tell_through_sql
from ingest.billing.claims import BillKind
from ingest.config import SourceConfig
from ingest.control_totals import record_totals
from ingest.deliveries import Delivery, plan_deliveries, tell_vanished
from ingest.landing_run import LandingRun, SourceReport, hash_options, utc_text
from ingest.quarantine import QuarantineSpool
from ingest.read_ahead import ReadAhead
from ingest.registry import LANDED, REFUSED, STANDING, SUPERSEDED, RegistryRow, make_row, supersede
from ingest.source import NoBillError, SourceKind
from ingest.storage import StorageError, StoredObject, open_stream

_LONGEST_MANIFEST_BYTES: Final = 64 << 20


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
        self._judge = BillJudge(run, source, kind, report)
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
        attempt = Attempt(delivery, self._pass_over(parts), touched, self._quarantine)
        self._judge.judge(attempt)
        self._commit(attempt)
        for part in parts:
            part.reading.remove()

    def _pass_over(self, parts: Sequence[Part]) -> list[Part]:
        """The parts without those that are sound and never held a bill, which are set aside."""
        no_bills = [
            part
            for part in parts
            if isinstance(part.item.refusal, NoBillError) and not any(row.status == LANDED for row in part.had)
        ]
        if not no_bills:
            return list(parts)
        self.set_aside([(part.item.stored, str(part.item.refusal)) for part in no_bills])
        self._run.replace_quarantine(self._source.name, [part.uri for part in no_bills], self._open_quarantine())
        self._report.deliveries_superseded += len(no_bills)
        return [part for part in parts if part not in no_bills]

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

    def _read(self, stored: StoredObject) -> Part:
        run, kind = self._run, self._kind
        reading = self._ahead.take(stored)
        self._quarantine.absorb(reading.quarantine)
        item = reading.items[0]
        claims: dict[str, SliceClaim] = {}
        if item.refusal is None and item.unreachable is None:
            sql = slices.scan_spool_sql(kind.table, reading.paths)
            columns = ", ".join(kind.claim_columns)
            through = tell_through_sql(kind.table, stored.modified_at)
            found = run.engine.execute(
                f"""select {columns}, {kind.table.partition}, count(*), {through} from ({sql})
                group by {columns}, {kind.table.partition}"""
            ).fetchall()
            for *values, partition_date, row_count, data_through_at in found:
                claim = SliceClaim(tuple(values), partition_date, row_count, data_through_at)
                claims[name_slice(self._source, claim.values, partition_date)] = claim
        return Part(reading, claims, run.registry.read_source(self._source.name).get(stored.uri, []))

    def _commit(self, attempt: Attempt) -> None:
        """Data, then quarantine, then registry: killed anywhere, the next run reads the delivery again."""
        run, kind = self._run, self._kind
        rows: dict[str, slices.SliceRows] = {}
        for key in attempt.landed:
            parts = attempt.list_parts(key)
            day = parts[0].claims[key].partition_date
            rows_sql = select_slice(run, self._source.name, kind, key, parts)
            rows[key] = slices.SliceRows(lake.hash_text(key), day, rows_sql)
        if rows:
            slices.swap_slices(run.home, run.engine, kind.table, list(rows.values()))
            record_totals(run.home, run.engine, kind.table, {key: each.sql for key, each in rows.items()})
        for key in attempt.touched:
            run.engine.unregister(name_claims(key))
        uris = [part.uri for part in attempt.parts]
        if attempt.delivery.manifest is not None:
            uris.append(attempt.delivery.manifest.uri)
        run.replace_quarantine(self._source.name, uris, self._quarantine)
        recorded = [row for part in attempt.parts for row in self._make_rows(attempt, part)]
        run.registry.record([*recorded, *self._supersede(attempt), *self._record_manifest(attempt.delivery)])
        book_uses(run.home, self._source.name, [loss.fingerprint for loss in attempt.accepted.values()])

    def _supersede(self, attempt: Attempt) -> list[RegistryRow]:
        """The registry rows of objects whose slices this delivery took over, with all else they say."""
        read = {part.item.stored.uri for part in attempt.parts}
        changed: dict[tuple[str, str], dict[str, RegistryRow]] = defaultdict(dict)
        for key in attempt.landed:
            for row in self._run.registry.read_slice(self._kind.table, key):
                if row.status in STANDING and not (row.source_name == self._source.name and row.object_uri in read):
                    lost = f", without what was accepted to go: {loss}" if (loss := attempt.accepted.get(key)) else ""
                    message = f"superseded by {attempt.delivery.uri} of source {self._source.name}{lost}"
                    changed[row.source_name, row.object_uri][key] = supersede(row, message)
        rows: list[RegistryRow] = []
        for (source_name, uri), by_key in changed.items():
            for row in self._run.registry.read_source(source_name)[uri]:
                rows.append(by_key.get(row.slice_key, row) if row.status in STANDING else row)
        return rows

    def _make_rows(self, attempt: Attempt, part: Part) -> list[RegistryRow]:
        """What the registry says of one part from now on; counts it in the report on the way."""
        version = read_delivery_version(attempt.delivery, [part.item.stored])
        base = self._describe(part.item.stored, version, part.item.sha256)
        rows: list[RegistryRow] = []
        bad_rows = part.item.rows_refused
        for key, claim in part.claims.items():
            if key not in attempt.touched:
                continue
            count = claim.row_count
            if key in attempt.landed and part.uri in attempt.drafts.get(key, {}):
                outcome = (SUPERSEDED, attempt.drafts[key][part.uri], 0, 0, 0)
            elif key in attempt.landed:
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

    def _list_standing(self, attempt: Attempt, part: Part, taken: Collection[str]) -> list[RegistryRow]:
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

    def _count(self, part: Part, rows: Sequence[RegistryRow]) -> None:
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
            report.repairs.update(slices.summarize_spool(self._run.engine, self._kind.table, part.reading.paths)[1])
