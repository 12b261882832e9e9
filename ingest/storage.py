"""The one storage module: lists and opens the objects of a source, on local disk, in S3, Google's or Azure's storage.

A location is a path, a glob (`**` crosses folders), a folder (everything in it), or `s3://bucket/key`, `gs://bucket/key`
or `az://container/key`, which means the same as a path: the object of that key, else everything below `key/`, and globs
alike. Hidden files (a leading dot) and folder markers are never listed. The stores themselves are in `ingest.stores`.
"""

import hashlib
import io
import os
import re
from collections import deque
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from importlib import import_module
from pathlib import Path, PurePosixPath
from types import ModuleType
from typing import Any, BinaryIO, Final, cast

from ingest.stores import local
from ingest.stores.stored import AZ_SCHEME as AZ_SCHEME
from ingest.stores.stored import GCS_SCHEME as GCS_SCHEME
from ingest.stores.stored import REMOTE_SCHEMES as REMOTE_SCHEMES
from ingest.stores.stored import S3_SCHEME as S3_SCHEME
from ingest.stores.stored import SourceLocationError as SourceLocationError
from ingest.stores.stored import StorageError as StorageError
from ingest.stores.stored import StoredObject as StoredObject

_STORE_MODULES: Final = {"s3": "s3", "gs": "gcs", "az": "az"}
_CHUNK_BYTES: Final = 1 << 20
_DOWNLOADS: Final = 16
_AHEAD_OBJECTS: Final = 64
_AHEAD_BYTES: Final = 64 << 20


def list_objects(location: str, options: Mapping[str, Any], base_dir: Path) -> list[StoredObject]:
    """Every object at `location`, by uri. Relative paths start at `base_dir`; `~` is the user's home folder.

    A glob, an existing folder or an S3 prefix may match nothing. Raises `SourceLocationError` when a file or local
    folder named without a glob is missing, `StorageError` when it cannot be listed.
    """
    if location.startswith(REMOTE_SCHEMES):
        listed = _import_store(location).list_objects(location, options)
    else:
        listed = local.list_objects(location, base_dir)
    return sorted(listed, key=lambda item: item.uri)


def open_stream(stored: StoredObject, options: Mapping[str, Any]) -> BinaryIO:
    """The object's bytes as a buffered stream, read as they are needed; close it after use.

    From a store, it is the version that was listed or none, and a broken connection is resumed where it broke.
    Raises `StorageError`, also while reading.
    """
    if stored.is_local:
        try:
            return (stored.path or Path(stored.uri)).open("rb")
        except OSError as error:
            raise local.describe_os_error(stored.uri, error) from error
    body = _import_store(stored.uri).open_body(stored, options)
    return cast(BinaryIO, io.BufferedReader(body, buffer_size=_CHUNK_BYTES))


def _import_store(uri: str) -> ModuleType:
    """The vendors' libraries take longer to import than all else: only who reads from a store waits for its own."""
    return import_module(f"ingest.stores.{_STORE_MODULES[uri.partition('://')[0]]}")


def fetch(stored: StoredObject, options: Mapping[str, Any], scratch_dir: Path) -> Path:
    """A local file with the object's bytes: itself, or a copy in `scratch_dir` that appears whole or not at all.

    The copy keeps the end of the object's name, so that suffixes still tell; the caller deletes it.
    """
    if stored.is_local:
        return stored.path or Path(stored.uri)
    digest = hashlib.sha256(f"{stored.uri}\n{stored.etag}".encode()).hexdigest()[:24]
    name = re.sub(r"[^\w.-]", "_", PurePosixPath(stored.uri).name, flags=re.ASCII)[-100:]
    target = scratch_dir / f"{digest}-{name}"
    partial = target.with_name(f"{target.name}.{os.getpid()}.partial")
    try:
        scratch_dir.mkdir(parents=True, exist_ok=True)
        with open_stream(stored, options) as source, partial.open("wb") as sink:
            while chunk := source.read(_CHUNK_BYTES):
                sink.write(chunk)
        partial.replace(target)
    except OSError as error:
        raise StorageError(
            f"{stored.uri}: cannot be copied to {scratch_dir}: {error.strerror}. "
            "Free some space there, or mend its rights."
        ) from error
    finally:
        with suppress(OSError):
            partial.unlink()
    return target


class Downloads:
    """Fetches objects in the order they are asked for, the next ones meanwhile: of thousands of small objects, the
    waiting takes longer than the reading. What is ahead is bounded in number and bytes; memory by a chunk each.
    """

    def __init__(self, objects: Sequence[StoredObject], options: Mapping[str, Any], scratch_dir: Path) -> None:
        self._options = options
        self._scratch_dir = scratch_dir
        self._waiting = deque(item for item in objects if not item.is_local)
        self._ahead: dict[StoredObject, Future[Path]] = {}
        self._ahead_bytes = 0
        self._pool = ThreadPoolExecutor(_DOWNLOADS, thread_name_prefix="download")

    def take(self, stored: StoredObject) -> Path:
        """A local file with the object's bytes, as `fetch` gives it. Raises `StorageError`."""
        self._start()
        download = self._ahead.pop(stored, None)
        if download is None:
            return fetch(stored, self._options, self._scratch_dir)
        self._ahead_bytes -= stored.size_bytes
        try:
            return download.result()
        finally:
            self._start()

    def close(self) -> None:
        """Wait for what is under way, and delete what nobody took."""
        self._waiting.clear()
        self._pool.shutdown(cancel_futures=True)
        for download in self._ahead.values():
            if not download.cancelled() and download.exception() is None:
                download.result().unlink(missing_ok=True)

    def _start(self) -> None:
        while self._waiting and len(self._ahead) < _AHEAD_OBJECTS:
            stored = self._waiting[0]
            if self._ahead and self._ahead_bytes + stored.size_bytes > _AHEAD_BYTES:
                return
            self._waiting.popleft()
            self._ahead_bytes += stored.size_bytes
            self._ahead[stored] = self._pool.submit(fetch, stored, self._options, self._scratch_dir)
