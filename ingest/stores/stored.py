"""An object as it is listed, and the patterns that name objects: the same in every store."""

import fnmatch
import re
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

_REMOTE_SCHEMES: Final = ("s3://",)
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
        return not self.uri.startswith(_REMOTE_SCHEMES)


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
