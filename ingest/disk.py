"""A disk without space: how it is told from other faults, and what a person needs to know of it."""

import errno
import shutil
from pathlib import Path
from typing import Final

_FULL_ERRNOS: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_FULL_WORDS: Final = (
    "no space left on device",
    "disk quota exceeded",
    "file too large",
    "database or disk is full",
    "out of disk",
    "max_temp_directory_size",
    "offload data block",
)
"""What DuckDB, Arrow, delta-rs, SQLite and dbt say of it, in lower case."""

_MIB: Final = 1024 * 1024


class DiskFullError(Exception):
    """Something could not be written for want of space."""


def tells_of_full_disk(error: BaseException) -> bool:
    """True when the error, or one that it came from, is that a disk, quota or file size limit is exhausted."""
    seen: set[int] = set()
    found: BaseException | None = error
    while found is not None and id(found) not in seen:
        seen.add(id(found))
        if isinstance(found, OSError) and found.errno in _FULL_ERRNOS:
            return True
        if any(words in str(found).lower() for words in _FULL_WORDS):
            return True
        found = found.__cause__ or found.__context__
    return False


def describe_full_disk(what: str, where: Path, remedy: str) -> str:
    """One sentence: what needs space, where, how much there is, and what to do."""
    usage = shutil.disk_usage(_find_existing(where))
    return (
        f"The disk is full: {what} needs space in {where}, where {usage.free / _MIB:,.1f} of "
        f"{usage.total / _MIB:,.0f} MiB are free (or a quota or file size limit is reached). {remedy}"
    )


def _find_existing(path: Path) -> Path:
    while not path.exists() and path != path.parent:
        path = path.parent
    return path
