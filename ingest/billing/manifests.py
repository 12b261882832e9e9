"""Manifests of bill exports: which objects are one delivery, as the provider itself says.

AWS writes the manifest after its data: `<report>-Manifest.json` beside or above the parts (legacy, `reportKeys`), or in
`metadata/` where the parts are in `data/` (Data Exports, `dataFiles`). A run's own manifest lies below the newest copy,
which is the one that counts. Azure writes `manifest.json` beside the parts of each run: `blobs`, with their bytes and
rows, by their names in the container; older ones are called `_manifest.json`, and name no rows.
"""

import json
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from ingest.storage import REMOTE_SCHEMES

_DATA_SUFFIXES: Final = (".parquet", ".csv", ".csv.gz", ".csv.zip")
_READ_AS: Final = {
    "FocusCost": ("focus", None),
    "ActualCost": ("azure_cost", "actual"),
    "AmortizedCost": ("azure_cost", "amortized"),
}
_NO_BILLS: Final = ("PriceSheet", "ReservationDetails", "ReservationRecommendations", "ReservationTransactions")
_NO_DATA: Final = "/cost_and_usage_data_status/"


class ManifestError(Exception):
    """A manifest that cannot be followed; the text says why."""


@dataclass(frozen=True)
class NamedPart:
    """An object that a manifest names. What it does not say of it is None."""

    key: str
    size_bytes: int | None = None
    row_count: int | None = None


@dataclass(frozen=True)
class Manifest:
    """What a manifest says: its parts in its order, how many rows they have in all, and when the run began (UTC)."""

    parts: Sequence[NamedPart]
    row_count: int | None = None
    submitted_at: datetime | None = None
    export_type: str | None = None  # as Azure names it

    @property
    def is_no_bill(self) -> bool:
        return self.export_type in _NO_BILLS

    def tell_other_kind(self, kind: str, view: object) -> str | None:
        """Why it is not for a source of this kind and view."""
        other = _READ_AS.get(self.export_type or "")
        if other is None or other == (kind, view) or (other[0] == kind and view is None):
            return None
        told = f"is of an export of type {self.export_type}"
        if other[0] != kind:
            return (
                f"{told}, which kind {other[0]} reads: give it a source of that kind, and let `location` reach it alone"
            )
        return f"{told}, and options.view of the source says {view}: give each export a source of its own"

    def find_row_gap(self) -> str | None:
        """How the rows of its parts are not the rows that it says there are."""
        counts = [part.row_count for part in self.parts]
        each = [part.row_count for part in dict.fromkeys(self.parts)]
        if self.row_count is None or None in counts:
            return None
        if self.row_count in (sum(filter(None, counts)), sum(filter(None, each))):
            return None
        return f"says {self.row_count} rows in all, and {sum(filter(None, each))} of its parts: half delivered"


def is_manifest(uri: str) -> bool:
    """True for the objects that name others."""
    return uri.rpartition("/")[2].lower().endswith("manifest.json")


def is_status(uri: str) -> bool:
    """True for what AWS writes beside a report for Athena: it tells of the export, and is no bill."""
    return _NO_DATA in f"/{uri}"


def find_governing(uris: Collection[str]) -> list[str]:
    """The manifests that count: those with none above them."""
    folders = {uri.rpartition("/")[0] for uri in uris}
    return [
        uri for uri in uris if not any(uri.rpartition("/")[0].startswith(f"{folder}/") for folder in folders if folder)
    ]


def list_areas(uri: str) -> list[str]:
    """The folders, with a / at the end, whose objects are the manifest's to name or leave out."""
    folder = uri.rpartition("/")[0].split("/")
    return ["/".join(parts) + "/" for parts in _list_twins(folder)]


def read_manifest(payload: bytes) -> Manifest:
    """Raises `ManifestError` for what is no manifest."""
    try:
        document = json.loads(payload)
    except (ValueError, RecursionError) as error:
        raise ManifestError(f"not a manifest: {error}: deliver it again") from error
    if not isinstance(document, dict):
        raise ManifestError("not a manifest: expected a JSON object with dataFiles, reportKeys or blobs")
    named = next(_list_named(document), None)
    if named is None:
        raise ManifestError("not a manifest: found no dataFiles, reportKeys or blobs")
    run, export = document.get("runInfo"), document.get("exportConfig")
    export_type = export.get("type") if isinstance(export, dict) else None
    return Manifest(
        named,
        _read_count(document.get("dataRowCount")),
        _read_time(run) if isinstance(run, dict) else None,
        export_type if isinstance(export_type, str) else None,
    )


def _read_count(value: object) -> int | None:
    return value if isinstance(value, int) else None


def _read_time(run: dict[str, Any]) -> datetime | None:
    try:
        told = datetime.fromisoformat(str(run.get("submittedTime")))
    except ValueError:
        return None
    return (told if told.tzinfo else told.replace(tzinfo=UTC)).astimezone(UTC)


def find_part(manifest_uri: str, key: str, listed: Collection[str]) -> str | None:
    """The listed object that a manifest calls `key`, or None where it is missing.

    A key is of the bucket that the export was delivered to; of a copy elsewhere, what follows a folder that the key and
    the manifest have in common must be the same, so that a part of another run is never taken for a missing one.
    """
    if key in listed:
        return key
    if key.startswith(REMOTE_SCHEMES):
        key = key.partition("://")[2].partition("/")[2]
    return next((uri for uri in _list_places(manifest_uri, key.lstrip("/")) if uri in listed), None)


def _list_named(document: dict[str, Any]) -> Iterator[list[NamedPart]]:
    for name in ("dataFiles", "reportKeys"):
        texts = _read_texts(document.get(name))
        if texts is not None:
            yield [NamedPart(text) for text in texts]
    blobs = document.get("blobs")
    if isinstance(blobs, list):
        named = [blob for blob in blobs if isinstance(blob, dict) and isinstance(blob.get("blobName"), str)]
        if len(named) == len(blobs):
            yield [
                NamedPart(blob["blobName"], _read_count(blob.get("byteCount")), _read_count(blob.get("dataRowCount")))
                for blob in named
            ]
    for value in document.values():
        texts = _read_texts(value)
        if texts and all(text.endswith(_DATA_SUFFIXES) for text in texts):
            yield [NamedPart(text) for text in texts]


def _read_texts(value: object) -> list[str] | None:
    if not isinstance(value, list):
        return None
    texts = [item for item in value if isinstance(item, str)]
    return texts if len(texts) == len(value) else None


def _list_twins(folder: Sequence[str]) -> list[list[str]]:
    """A folder, and the one of the data that the folder's metadata speak of."""
    twins = [list(folder)]
    twins += [
        [*folder[:index], "data", *folder[index + 1 :]] for index, name in enumerate(folder) if name == "metadata"
    ]
    return twins


def _list_places(manifest_uri: str, key: str) -> Iterator[str]:
    folder, parts = manifest_uri.split("/")[:-1], key.split("/")
    if manifest_uri.startswith(REMOTE_SCHEMES):
        yield "/".join([*folder[:3], *parts])
    is_anchored = False
    for first in range(len(parts) - 1):
        for place in _list_twins(folder):
            for index, name in enumerate(place):
                if name == parts[first]:
                    is_anchored = True
                    yield "/".join([*place[:index], *parts[first:]])
    if not is_anchored:  # all files of an export copied into one folder
        yield "/".join([*folder, parts[-1]])
