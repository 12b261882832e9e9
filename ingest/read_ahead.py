"""Bills are landed one delivery after another; their objects are read ahead, where readers can share them."""

from collections.abc import Sequence
from typing import Final

from ingest.config import SourceConfig
from ingest.landing_run import LandingRun
from ingest.reading import Reading
from ingest.source import SourceKind
from ingest.storage import StoredObject

_AHEAD_BYTES: Final = 256 << 20  # bounds what is on disk of deliveries whose turn has not come


class ReadAhead:
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
