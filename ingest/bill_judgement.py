"""What becomes of each slice that a delivery claims: it lands, is superseded, is held back for a person, or refused."""

from collections.abc import Collection, Sequence
from decimal import Decimal
from functools import cached_property
from typing import Final

from ingest.acceptances import read_accepted_losses
from ingest.bill_attempt import Attempt, Part, select_slice
from ingest.bill_checks import find_fault, find_gap
from ingest.bill_drafts import find_drafts
from ingest.bill_losses import Loss, find_loss
from ingest.bill_scopes import name_slice, select_landed
from ingest.billing.claims import BillKind
from ingest.config import ConfigError, LandingPolicies, SourceConfig, load_watch_policies
from ingest.deliveries import Delivery
from ingest.landing_run import LandingRun, SourceReport
from ingest.registry import LANDED, LOST, STANDING, RegistryRow
from ingest.storage import StoredObject
from ingest.versions import get_folder, read_version

_OTHER_PARTS: Final = "Where the two cover different parts of the account, give each source an options.scope of its own"


class BillJudge:
    """Judges deliveries of one source."""

    def __init__(self, run: LandingRun, source: SourceConfig, kind: BillKind, report: SourceReport) -> None:
        self._run = run
        self._source = source
        self._kind = kind
        self._report = report

    def judge(self, attempt: Attempt) -> None:
        """Fill the maps of the attempt, its quarantine and the report's messages."""
        self._refuse_bad(attempt)
        for key in sorted(attempt.touched - attempt.refused.keys()):
            self._judge_slice(attempt, key)
        self._name_held_back(attempt)

    @cached_property
    def _shrink_share(self) -> Decimal:
        try:
            return load_watch_policies(self._run.home)[0].shrink_share
        except ConfigError:
            return LandingPolicies().shrink_share  # the landing of the config says what is wrong with it

    def _refuse_bad(self, attempt: Attempt) -> None:
        """Half a bill is a wrong bill: what a bad part claims is refused, and all when its claims are unknown."""
        for part in attempt.parts:
            if not part.is_bad:
                gap = find_gap(self._run, self._kind.table, self._source, part.reading, attempt.delivery)
                self._refuse(attempt, part.claims or attempt.touched, gap)
                continue
            refusal = part.item.refusal
            told = refusal.reason if refusal else f"{part.item.rows_refused} malformed row(s), named in quarantine"
            if refusal is not None:
                attempt.quarantine.refuse_object(part.uri, refusal)
            self._refuse(attempt, self._list_bad_slices(attempt, part), f"{part.uri}: {told}")

    def _refuse(self, attempt: Attempt, keys: Collection[str], why: str | None) -> None:
        if why is not None:
            self._report.messages.append(why)
            attempt.refused |= {key: attempt.refused.get(key, why) for key in keys}

    def _list_bad_slices(self, attempt: Attempt, part: Part) -> set[str]:
        told = part.item.refused_claims
        if part.item.refusal is not None or not told or None in told:
            return attempt.touched
        spoiled = {name_slice(self._source, claim[0], claim[1]) for claim in told if claim is not None}
        return {*part.claims, *spoiled, *(row.slice_key for row in part.had if row.status == LANDED)}

    def _judge_slice(self, attempt: Attempt, key: str) -> None:
        claiming = attempt.list_parts(key)
        if not claiming:
            self._report.messages.append(
                f"{attempt.delivery.uri}: no file claims {key} any more; what was landed is kept"
            )
            return
        if not self._set_drafts_aside(attempt, key, claiming):
            return
        parts = attempt.list_parts(key)
        delivery, stored = attempt.delivery, [part.item.stored for part in parts]
        version = read_delivery_version(delivery, stored)
        newest = max(self._list_others(attempt, key), key=lambda row: row.version, default=None)
        rows_sql, standing_sql = self._select(key, parts), select_landed(self._run, self._kind.table, key)
        if newest is not None and newest.version > version:
            # Of rows that the lake lost, the object itself is due.
            is_lost = newest.status == LOST
            loss = None if is_lost else find_loss(self._run, self._kind, key, rows_sql, standing_sql, None)
            self._supersede(attempt, key, newest, loss)
        elif why := find_fault(self._run, self._kind, key, rows_sql, delivery, stored):
            self._refuse(attempt, [key], why)
        else:
            loss = find_loss(self._run, self._kind, key, standing_sql, rows_sql, self._shrink_share)
            if loss is None or loss.fingerprint in self._read_accepted(unused_only=True):
                attempt.landed[key] = version
                attempt.accepted |= {key: loss} if loss else {}
            else:
                told = f"it would take away what stands: {loss}"
                self._hold_back(attempt, key, loss, told, "let it count")

    def _set_drafts_aside(self, attempt: Attempt, key: str, parts: Sequence[Part]) -> bool:
        """False when the slice cannot land because of them. A manifest names the parts of one state."""
        if attempt.delivery.manifest is not None:
            return True
        modified_at = {part.uri: part.item.stored.modified_at for part in parts}
        drafts = find_drafts(self._run, self._kind.table, key, self._select(key, parts), modified_at)
        if drafts.refusal is not None:
            self._refuse(attempt, [key], drafts.refusal)
            return False
        if not drafts.why:
            return True
        finals = [part for part in parts if part.uri not in drafts.why]
        draft_sql = self._select(key, [part for part in parts if part.uri in drafts.why])
        loss = find_loss(self._run, self._kind, key, draft_sql, self._select(key, finals), None)
        if loss is not None and loss.fingerprint not in self._read_accepted(unused_only=False):
            told = f"it has a draft, {', '.join(drafts.why)}, with what the final one has not: {loss}"
            self._hold_back(attempt, key, loss, told, "let the final one count")
            return False
        attempt.drafts[key] = drafts.why
        return True

    def _list_others(self, attempt: Attempt, key: str) -> list[RegistryRow]:
        """What stands of the slice by other deliveries."""
        return [
            row
            for row in self._run.registry.read_slice(self._kind.table, key)
            if row.status in STANDING
            and not (row.source_name == self._source.name and attempt.delivery.owns(row.object_uri))
        ]

    def _supersede(self, attempt: Attempt, key: str, newest: RegistryRow, loss: Loss | None) -> None:
        by = f"{get_folder(newest.object_uri)} of source {newest.source_name}"
        if loss is None:
            attempt.superseded[key] = f"superseded by {by}"
        elif loss.fingerprint in self._read_accepted(unused_only=False):
            attempt.superseded[key] = f"superseded by {by}, without what was accepted to go: {loss}"
        else:
            told = f"{by} is newer and counts, and has not what this one has: {loss}"
            self._hold_back(attempt, key, loss, told, "set it aside")

    def _hold_back(self, attempt: Attempt, key: str, loss: Loss, told: str, what_for: str) -> None:
        attempt.held[key] = loss
        why = (
            f"{attempt.delivery.uri}: held back, {told}. To {what_for}: wattledger accept {self._source.name} "
            f'--reason "…", then run again. {_OTHER_PARTS}'
        )
        self._refuse(attempt, [key], why)

    def _read_accepted(self, *, unused_only: bool) -> set[str]:
        return read_accepted_losses(self._run.home, self._source.name, unused_only=unused_only)

    def _select(self, key: str, parts: Sequence[Part]) -> str:
        return select_slice(self._run, self._source.name, self._kind, key, parts)

    def _name_held_back(self, attempt: Attempt) -> None:
        for part in attempt.parts:
            for key in sorted(part.claims.keys() & attempt.refused.keys()):
                reason = f"{part.claims[key].row_count} rows held back with their delivery: {attempt.refused[key]}"
                held = attempt.held.get(key)
                attempt.quarantine.add(part.uri, "delivery", None, None, reason, name_held(held) if held else key)


def name_held(loss: Loss) -> str:
    """How the quarantine names what a person may accept."""
    return f"loss {loss.fingerprint}"


def read_delivery_version(delivery: Delivery, objects: Sequence[StoredObject]) -> str:
    """The version of what a delivery says by some of its objects."""
    return delivery.version if delivery.manifest is not None else read_version(delivery.uri, objects)
