"""Which objects of a bill's source are one delivery: what a manifest names, else the files of one folder."""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from ingest.billing.manifests import (
    ManifestError,
    NamedPart,
    find_governing,
    find_part,
    is_manifest,
    is_status,
    list_areas,
    read_manifest,
)
from ingest.billing.statements import find_unread_bills
from ingest.config import SourceConfig
from ingest.landing_run import needs_reading
from ingest.registry import LANDED, RegistryRow
from ingest.storage import StoredObject
from ingest.versions import get_folder, read_version

Known = Mapping[str, Sequence[RegistryRow]]
"""The registry's rows of one source that hold, by object."""


@dataclass
class Delivery:
    """Objects that are landed together. `uri` names it: a folder, or a manifest."""

    uri: str
    objects: list[StoredObject]
    pending: set[str]  # of the objects, the ones to read; the others are as they were landed
    version: str
    manifest: StoredObject | None = None
    areas: Sequence[str] = ()
    refusal: str | None = None
    row_counts: Mapping[str, int] = field(default_factory=dict)  # what a manifest says of its objects, by uri
    is_no_bill: bool = False
    note: str | None = None  # what is told of a delivery that is landed all the same

    def owns(self, uri: str) -> bool:
        """True for objects that an earlier state of this delivery may have had."""
        if self.manifest is None:
            return get_folder(uri) == self.uri
        return uri.startswith(tuple(self.areas)) or any(item.uri == uri for item in self.objects)


@dataclass
class DeliveryPlan:
    """`deliveries` newest first, so that what is superseded is never written; `set_aside` is no part of any, with the
    reason."""

    deliveries: list[Delivery] = field(default_factory=list)
    set_aside: list[tuple[StoredObject, str]] = field(default_factory=list)
    unchanged_count: int = 0


def plan_deliveries(
    objects: Sequence[StoredObject],
    known: Known,
    options_id: str,
    read_payload: Callable[[StoredObject], bytes],
    source: SourceConfig,
    again: Collection[str] = (),
) -> DeliveryPlan:
    """Group the objects; only deliveries with something to do, or with an object to read `again`, are in the plan.

    Manifests are read when anything at all is new, changed or was refused; raises `StorageError` when one cannot be.
    """
    by_uri = {item.uri: item for item in objects}
    pending = {
        item.uri
        for item in objects
        if item.uri in again or needs_reading(list(known.get(item.uri, ())), item, options_id)
    }
    plan = DeliveryPlan(unchanged_count=len(objects) - len(pending))
    if not pending:
        return plan
    manifests = [uri for uri in by_uri if is_manifest(uri)]
    governing = find_governing(manifests)
    taken = set(manifests)
    areas: list[str] = []
    for uri in governing:
        delivery = _follow_manifest(by_uri[uri], by_uri, known, pending, options_id, read_payload, source)
        areas += delivery.areas
        taken |= {item.uri for item in delivery.objects}
        if delivery.is_no_bill:
            plan.set_aside += [(item, "an export that is no bill") for item in (by_uri[uri], *delivery.objects)]
            continue
        if delivery.pending or uri in pending:
            plan.deliveries.append(delivery)
    plan.set_aside += [(by_uri[uri], "a manifest above it counts") for uri in manifests if uri not in governing]
    loose: dict[str, list[StoredObject]] = defaultdict(list)
    for item in objects:
        if item.uri in taken:
            continue
        if is_status(item.uri):
            plan.set_aside.append((item, "tells of an export, and is no bill"))
        elif item.uri.startswith(tuple(areas)):
            plan.set_aside.append((item, "no manifest names it"))
        else:
            loose[get_folder(item.uri)].append(item)
    for folder, items in loose.items():
        if changed := pending & {item.uri for item in items}:
            changed |= find_unread_bills([item.uri for item in items], changed)
            plan.deliveries.append(Delivery(folder, items, changed, read_version(folder, items)))
    plan.deliveries.sort(key=lambda delivery: delivery.version, reverse=True)
    return plan


def tell_vanished(known: Known, listed: Collection[str]) -> Iterator[str]:
    """A sentence for each object that is no longer there, and whose rows are kept all the same."""
    for uri, rows in known.items():
        kept = [row.slice_key for row in rows if row.status == LANDED and row.slice_key]
        if kept and uri not in listed:
            yield f"{uri}: no longer at the source; what it landed is kept: {', '.join(kept)}"


def _follow_manifest(
    manifest: StoredObject,
    by_uri: Mapping[str, StoredObject],
    known: Known,
    pending: set[str],
    options_id: str,
    read_payload: Callable[[StoredObject], bytes],
    source: SourceConfig,
) -> Delivery:
    areas = list_areas(manifest.uri)
    delivery = Delivery(manifest.uri, [], set(), read_version(get_folder(manifest.uri), [manifest]), manifest, areas)
    try:
        document = read_manifest(read_payload(manifest))
    except ManifestError as error:
        delivery.refusal = str(error)
        return delivery
    named = document.parts
    found = {part: find_part(manifest.uri, part.key, by_uri.keys()) for part in dict.fromkeys(named)}
    uris = list(dict.fromkeys(uri for uri in found.values() if uri is not None))
    delivery.objects = [by_uri[uri] for uri in uris]
    delivery.areas = [*areas, *{f"{get_folder(uri)}/" for uri in uris}]
    if delivery.objects:
        parts = [manifest, *delivery.objects]
        delivery.version = read_version(get_folder(uris[0]), parts, document.submitted_at)
    delivery.row_counts = {uri: part.row_count for part, uri in found.items() if uri and part.row_count is not None}
    had = {
        uri
        for uri, rows in known.items()
        if uri.startswith(tuple(delivery.areas)) and any(row.status == LANDED for row in rows) and uri != manifest.uri
    }
    changed = pending & set(uris)
    # Fewer or other parts than were landed: the bill is made of all its parts anew.
    delivery.pending = set(uris) if manifest.uri in pending and (changed or had != set(uris)) else set(changed)
    delivery.is_no_bill = document.is_no_bill
    delivery.refusal = (
        document.tell_other_kind(source.kind, source.options.get("view"))
        or _find_what_is_amiss(manifest, found, by_uri, known, options_id)
        or document.find_row_gap()
    )
    if len(named) != len(uris):
        delivery.note = f"names {len(named) - len(uris)} part(s) a second time; each was read once"
    return delivery


def _find_what_is_amiss(
    manifest: StoredObject,
    found: Mapping[NamedPart, str | None],
    by_uri: Mapping[str, StoredObject],
    known: Known,
    options_id: str,
) -> str | None:
    missing = [part.key for part, uri in found.items() if uri is None]
    if missing:
        return (
            f"names {len(missing)} part(s) that are not there, such as {missing[0]}: half a bill is a wrong bill. "
            "Deliver them, or let `location` in sources.yml reach them"
        )
    was_landed = any(
        row.status == LANDED and row.etag == manifest.etag and row.options_sha256 == options_id
        for row in known.get(manifest.uri, ())
    )
    for part, uri in found.items():
        assert uri is not None
        item = by_uri[uri]
        if part.size_bytes is not None and part.size_bytes != item.size_bytes:
            return f"says that {part.key} has {part.size_bytes} bytes, found {item.size_bytes}: half delivered"
        rows = known.get(uri, ())
        is_sound = bool(rows) and all(row.status == LANDED for row in rows)
        if was_landed and is_sound and all(row.etag != item.etag for row in rows):
            return f"is older than its part {part.key}, which has changed: half delivered; waiting for the new manifest"
        # The clock of a store orders what is in it; a copy on disk has the time of the copying.
        if not item.is_local and item.modified_at > manifest.modified_at:
            return f"is older than its part {part.key}: half delivered; waiting for the new manifest"
    return None
