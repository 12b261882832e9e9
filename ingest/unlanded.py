"""What a source should have landed and did not, though no object of it is refused: no row at all, or every row bad."""

from collections.abc import Collection
from typing import Final

from ingest.acceptances import list_unaccepted
from ingest.config import SourceConfig, is_server
from ingest.home import Home
from ingest.registry import LANDED, LOST, REFUSED, SUPERSEDED, RegistryRow

Known = dict[str, list[RegistryRow]]

_FEWEST_ROWS: Final = 2
"""A log may have one object a call: one bad row in quarantine is no failed delivery."""


def list_unlanded(home: Home, source: SourceConfig, known: Known, listed: Collection[str]) -> list[str]:
    """A sentence for each thing that a person has to look at. `known` is what the registry says of the source by
    object, `listed` the objects that it has now.
    """
    rows = [row for had in known.values() for row in had]
    if any(row.status in (REFUSED, LOST) for row in rows):
        return []  # said with the object
    landed = any(row.rows_landed for row in rows)
    if spoiled := _find_spoiled(known, fewest_rows=_FEWEST_ROWS if landed else 1):
        return _describe_spoiled(home, source, spoiled)
    # A server may have nothing yet, and what another delivery or source has is superfluous here.
    if landed or is_server(source.location) or any(row.status == SUPERSEDED and row.slice_key for row in rows):
        return []
    if not listed:
        return [f"{source.location}: nothing is there, nor did ever land: correct its location, or export to it"]
    return [
        f"{source.location}: not one row of {len(listed)} object(s) landed: see whether the kind is {source.kind} and "
        "the folder the right one"
    ]


def _find_spoiled(known: Known, *, fewest_rows: int) -> dict[str, int]:
    """The count of refused rows of each object of which no row was any good."""
    counts = {
        uri: sum(row.rows_quarantined for row in rows)
        for uri, rows in known.items()
        if all(row.status == LANDED and row.rows_landed == 0 for row in rows)
    }
    return {uri: count for uri, count in counts.items() if count >= fewest_rows}


def _describe_spoiled(home: Home, source: SourceConfig, spoiled: dict[str, int]) -> list[str]:
    """One sentence for all that nobody accepted."""
    waiting = {item.object_uri: item for item in list_unaccepted(home) if item.source_name == source.name}
    uris = [uri for uri in spoiled if uri in waiting]
    if not uris:
        return []
    what = uris[0] if len(uris) == 1 else f"{uris[0]} and {len(uris) - 1:,} more objects"
    return [
        f"{what}: every row is refused ({sum(spoiled[uri] for uri in uris):,}), such as: {waiting[uris[0]].described}. "
        f'Deliver it again in the right format, or leave it so: wattledger accept {source.name} --reason "…"'
    ]
