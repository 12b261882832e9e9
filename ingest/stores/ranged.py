"""An object read forward in ranges: what breaks on the way is asked again from where it broke."""

import io
from collections.abc import Callable
from typing import Any

from ingest.stores.stored import StorageError, StoredObject


class RangedBody(io.RawIOBase):
    """The version of an object that was listed. `read_range` gives its bytes from a first to before an end."""

    def __init__(self, stored: StoredObject, read_range: Callable[[int, int], bytes], range_bytes: int) -> None:
        super().__init__()
        self._stored = stored
        self._read_range = read_range
        self._range_bytes = range_bytes
        self._offset = 0
        self._range = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if not self._range and self._offset < self._stored.size_bytes:
            self._range = self._read_on()
            self._offset += len(self._range)
        chunk, self._range = self._range[: len(buffer)], self._range[len(buffer) :]
        buffer[: len(chunk)] = chunk
        return len(chunk)

    def _read_on(self) -> bytes:
        end = min(self._offset + self._range_bytes, self._stored.size_bytes)
        found = self._read_range(self._offset, end)
        if len(found) != end - self._offset:
            raise StorageError(
                f"{self._stored.uri}: {len(found):,} bytes came of {end - self._offset:,} asked for. "
                "The next run reads it again."
            )
        return found
