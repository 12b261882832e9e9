"""An object as it is listed, and the patterns that name objects: the same in every store."""

import fnmatch
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import Final

S3_SCHEME: Final = "s3://"
GCS_SCHEME: Final = "gs://"
AZ_SCHEME: Final = "az://"
REMOTE_SCHEMES: Final = (S3_SCHEME, GCS_SCHEME, AZ_SCHEME)
GLOB_CHARACTERS: Final = re.compile(r"[*?\[]")


class StorageError(Exception):
    """An object store or a disk did not give what was asked of it."""


class SourceLocationError(StorageError):
    """A location names a file or folder that does not exist, or cannot be a location at all."""


@dataclass(frozen=True)
class StoredObject:
    """One object as listed. `etag` changes whenever the content does; `modified_at` is aware, UTC.

    `uri` names it for good: a file below the base folder by its path from there, so that a home can be moved without
    its files becoming new ones; other files by their absolute path; `path` is where a file is now.
    """

    uri: str
    size_bytes: int
    etag: str
    modified_at: datetime
    path: Path | None = None

    @property
    def is_local(self) -> bool:
        return not self.uri.startswith(REMOTE_SCHEMES)


def split_uri(uri: str, scheme: str) -> tuple[str, str]:
    """(bucket, key) of an object's or a prefix's address."""
    bucket, _, key = uri.removeprefix(scheme).partition("/")
    if not bucket or GLOB_CHARACTERS.search(bucket):
        raise SourceLocationError(
            f"{uri}: no bucket name in it. Write {scheme}bucket/prefix; a bucket is never a glob."
        )
    return bucket, key


def choose_listed(
    location: str, scheme: str, list_keys: Callable[[str, str], Iterable[StoredObject]]
) -> list[StoredObject]:
    """The object of a location, else everything below it; globs as on disk. `list_keys` lists a bucket's prefix."""
    bucket, key = split_uri(location, scheme)
    glob_at = GLOB_CHARACTERS.search(key)
    if glob_at:
        matches = re.compile(translate_glob(key)).fullmatch
        found = list_keys(bucket, key[: glob_at.start()])
        return [item for item in found if item.uri == location or matches(split_uri(item.uri, scheme)[1])]
    folder = key if key.endswith("/") or not key else f"{key}/"
    # One listing answers both questions, is it an object and is it a folder: keys of neither are left out.
    found = [
        item
        for item in list_keys(bucket, key)
        if item.uri == location
        or (
            item.uri.startswith(f"{scheme}{bucket}/{folder}")
            and not _is_hidden(split_uri(item.uri, scheme)[1].removeprefix(folder))
        )
    ]
    exact = [item for item in found if item.uri == location]
    if not found and PurePosixPath(key).suffix and not key.endswith("/"):
        raise SourceLocationError(
            f"{location}: no such object in bucket {bucket}. "
            "Correct `location` in sources.yml, or upload it; end the location with / where a folder is meant."
        )
    return exact or found


def _is_hidden(below: str) -> bool:
    return any(part.startswith(".") for part in below.split("/"))


def translate_glob(pattern: str) -> str:
    """A regular expression that matches keys as the shell matches paths: wildcards stop at / and skip hidden names."""
    parts = pattern.split("/")
    translated = ""
    for position, part in enumerate(parts):
        is_last = position == len(parts) - 1
        if part == "**":
            translated += r"[^/.][^/]*(?:/[^/.][^/]*)*" if is_last else r"(?:[^/.][^/]*/)*"
            continue
        text = "".join(_translate_token(token) for token in re.findall(r"\[!?\]?[^\]]*\]|.", part, flags=re.DOTALL))
        translated += (r"(?!\.)" if part[:1] in "*?[" and part else "") + text + ("" if is_last else "/")
    return f"(?s:{translated})"


def _translate_token(token: str) -> str:
    if token == "*":
        return "[^/]*"
    if token == "?":
        return "[^/]"
    if len(token) > 1:
        character_class = fnmatch.translate(token).removeprefix("(?s:").removesuffix(r")\Z")
        return f"(?!/){character_class}"
    return re.escape(token)
