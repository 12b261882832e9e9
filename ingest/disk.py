"""A disk without space: how it is told from other faults, and what a person needs to know of it."""

import errno
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
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
    return any(
        (isinstance(cause, OSError) and cause.errno in _FULL_ERRNOS)
        or any(words in str(cause).lower() for words in _FULL_WORDS)
        for cause in _list_causes(error)
    )


def _list_causes(error: BaseException) -> Iterator[BaseException]:
    """The error, what it came from, and so on."""
    seen: set[int] = set()
    found: BaseException | None = error
    while found is not None and id(found) not in seen:
        seen.add(id(found))
        yield found
        found = found.__cause__ or found.__context__


@contextmanager
def needing_space(what: str, *places: Path) -> Iterator[None]:
    """Inside the block, an error for want of space becomes a `DiskFullError` that names what needs it, and where."""
    try:
        yield
    except Exception as error:
        # What is closed on the way out fails alike, and would hide which step it was.
        told = next((cause for cause in _list_causes(error) if isinstance(cause, DiskFullError)), None)
        if told is not None:
            raise told from None
        if not tells_of_full_disk(error):
            raise
        raise DiskFullError(_describe(what, places)) from error


def _describe(what: str, places: Sequence[Path]) -> str:
    """One sentence: what needs space, where, how much there is, and what to do."""
    usages = {place: shutil.disk_usage(_find_existing(place)) for place in places}
    where = min(usages, key=lambda place: usages[place].free)
    free, total = usages[where].free / _MIB, usages[where].total / _MIB
    return (
        f"The disk is full: {what} needs space in {where}, where {free:,.1f} of {total:,.0f} MiB are free (or a quota "
        "or a limit of file sizes is reached). Free some space there and run again; what was published before stays."
    )


def _find_existing(path: Path) -> Path:
    while not path.exists() and path != path.parent:
        path = path.parent
    return path
