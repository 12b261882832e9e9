"""Why an object cannot be read, in a sentence, whatever its reader met; what is the machine's fault is no object's."""

import csv
import errno
import re
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import duckdb
import msgspec

from ingest.disk import tells_of_full_disk
from ingest.source import ObjectRefusedError
from ingest.storage import StorageError

_MACHINE_ERRORS: Final = frozenset(
    {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EIO}
)
"""What no other object would be spared: no space, no memory, too many open files."""

_ODD_VALUE: Final = "a value in it has a shape that no such file has"
_WORDS: Final[tuple[tuple[tuple[type[Exception], ...], str], ...]] = (
    ((UnicodeError,), "not UTF-8 text"),
    ((RecursionError,), "its brackets are nested too deep"),
    ((OverflowError,), "a number or a time in it is too large"),
    ((csv.Error,), "not CSV: {}"),
    ((msgspec.DecodeError,), "not JSON of the shape that is expected: {}"),
    # The texts of these speak of the reader's code.
    ((ArithmeticError, LookupError, TypeError, AttributeError, AssertionError), _ODD_VALUE),
)

_ENGINE_PREFIX: Final = re.compile(r"^([A-Z][\w-]* )*Error: ")
_PACKAGE: Final = Path(__file__).resolve().parent
_LONGEST_TEXT: Final = 300


def is_machine_fault(error: BaseException) -> bool:
    """True where the next object would fail alike, so that this one must not be blamed; Ctrl-C among it."""
    if _comes_of_interrupt(error):
        return True
    if isinstance(error, duckdb.IOException | duckdb.OutOfMemoryException):
        return tells_of_full_disk(error)
    return isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno in _MACHINE_ERRORS)


def _comes_of_interrupt(error: BaseException | None) -> bool:
    """An engine that is interrupted in the middle of a query raises an error of its own, caused by the interrupt."""
    while error is not None:
        if not isinstance(error, Exception | GeneratorExit):
            return True
        error = error.__cause__ or error.__context__
    return False


def refuse_failed(kind: str, rows_before: int, error: Exception) -> ObjectRefusedError:
    """The refusal of an object whose reader raised `error` after so many rows; `found` says where in the reader."""
    after = f" after {rows_before:,} rows" if rows_before else ""
    return ObjectRefusedError(
        f"cannot be read as {kind}{after}: {describe_failure(error)}. Deliver it again, or take it away",
        found=_describe_place(error),
    )


@contextmanager
def asking(what: str) -> Iterator[None]:
    """Raise `StorageError` for whatever a server's answer makes of its reader; `what` names the source and window."""
    try:
        yield
    except (StorageError, OSError):
        raise
    except Exception as error:
        if is_machine_fault(error):
            raise
        raise StorageError(
            f"{what}: the server's answer cannot be used: {describe_failure(error)} ({_describe_place(error)}). "
            "The next run asks again."
        ) from error


def describe_failure(error: Exception) -> str:
    """What a library or a reader met, in words that name neither."""
    text = next(iter(str(error).splitlines()), "").strip().rstrip(".")[:_LONGEST_TEXT]
    if isinstance(error, duckdb.Error):
        return _ENGINE_PREFIX.sub("", text)
    if isinstance(error, OSError):
        return f"its bytes cannot be read: {error.strerror or text}"
    return next((words for kinds, words in _WORDS if isinstance(error, kinds)), "").format(text) or text or _ODD_VALUE


def _describe_place(error: Exception) -> str:
    """The deepest line of our own code, and what was said there, for whoever looks into the reader."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if _PACKAGE in Path(frame.filename).parents]
    place = f"{Path(frames[-1].filename).relative_to(_PACKAGE.parent)}:{frames[-1].lineno}: " if frames else ""
    return f"{place}{error}"
