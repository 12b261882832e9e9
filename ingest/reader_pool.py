"""Reader processes: each takes a task, reads, answers, and ends with the process that started it.

Not `multiprocessing`: its spawned workers run the caller's main module first, which for the command line means
loading the whole orchestrator, and they outlive a caller that was killed.
"""

import contextlib
import os
import pickle
import selectors
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final, cast

from ingest.home import HomeError

if TYPE_CHECKING:
    from ingest.reading import Reading, ReadingTask

_PACKAGE_ROOT: Final = Path(__file__).resolve().parents[1]
_SHOWN_OBJECTS: Final = 3


class ReaderDiedError(HomeError):
    """A reader process was killed or failed in a way that no bad input explains. Nothing of its batch is landed."""


@dataclass(frozen=True)
class ReaderFailure:
    """What a reader answers when the machine failed it, whatever it read."""

    reason: str


@dataclass
class _Reader:
    process: subprocess.Popen[bytes]
    task_index: int | None = None

    @property
    def inbox(self) -> IO[bytes]:
        return cast(IO[bytes], self.process.stdin)

    @property
    def answers(self) -> IO[bytes]:
        return cast(IO[bytes], self.process.stdout)


class ReaderPool:
    """`size` processes at most, started as tasks need them. For one thread."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._readers: list[_Reader] = []

    @property
    def process_ids(self) -> list[int]:
        return [reader.process.pid for reader in self._readers]

    def map(self, tasks: Sequence["ReadingTask"]) -> Iterator[tuple[int, "Reading"]]:
        """Yield (place of the task, what was read) as readers finish.

        Raises `ReaderDiedError` naming the objects, after ending all readers.
        """
        while len(self._readers) < min(self._size, len(tasks)):
            self._readers.append(_Reader(_start_process()))
        waiting = iter(range(len(tasks)))
        try:
            with selectors.DefaultSelector() as selector:
                for reader in self._readers:
                    selector.register(reader.answers, selectors.EVENT_READ, reader)
                    self._give(reader, waiting, tasks)
                while any(reader.task_index is not None for reader in self._readers):
                    for key, _ in selector.select():
                        reader = cast(_Reader, key.data)
                        answer = self._take(reader, tasks)
                        done, reader.task_index = cast(int, reader.task_index), None
                        self._give(reader, waiting, tasks)
                        yield done, answer
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """End all readers now."""
        for reader in self._readers:
            reader.process.kill()
        for reader in self._readers:
            reader.process.wait()
            reader.answers.close()
            with contextlib.suppress(BrokenPipeError):  # a task that nobody took
                reader.inbox.close()
        self._readers = []

    def _give(self, reader: _Reader, waiting: Iterator[int], tasks: Sequence["ReadingTask"]) -> None:
        index = next(waiting, None)
        if index is None:
            return
        reader.task_index = index
        try:
            pickle.dump(tasks[index], reader.inbox)
            reader.inbox.flush()
        except BrokenPipeError:
            raise _describe_death(reader, tasks) from None

    def _take(self, reader: _Reader, tasks: Sequence["ReadingTask"]) -> "Reading":
        try:
            answer = pickle.load(reader.answers)
        except (EOFError, pickle.UnpicklingError):
            raise _describe_death(reader, tasks) from None
        if isinstance(answer, ReaderFailure):
            raise ReaderDiedError(
                f"Reading {_name_objects(reader, tasks)} failed; nothing of this batch was landed: {answer.reason}"
            )
        return answer


def _start_process() -> subprocess.Popen[bytes]:
    path = os.pathsep.join(filter(None, (str(_PACKAGE_ROOT), os.environ.get("PYTHONPATH"))))
    return subprocess.Popen(
        [sys.executable, "-m", "ingest.reader_process"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        # One thread each: the readers together are as many as the processors.
        env={**os.environ, "PYTHONPATH": path, "POLARS_MAX_THREADS": "1", "OMP_NUM_THREADS": "1"},
        start_new_session=True,  # Ctrl-C is the parent's to handle; readers end when it does
    )


def _describe_death(reader: _Reader, tasks: Sequence["ReadingTask"]) -> ReaderDiedError:
    code = reader.process.wait()
    how = f"was killed by signal {-code}" if code < 0 else f"ended with code {code}"
    return ReaderDiedError(
        f"A reader process {how} while it read {_name_objects(reader, tasks)}. Nothing of this batch was landed; what "
        "landed before stands. Signal 9 mostly means that memory ran out: free some and land again."
    )


def _name_objects(reader: _Reader, tasks: Sequence["ReadingTask"]) -> str:
    if reader.task_index is None:
        return "nothing"
    task = tasks[reader.task_index]
    uris = [stored.uri for stored in task.objects]
    more = f" and {len(uris) - _SHOWN_OBJECTS} more" if len(uris) > _SHOWN_OBJECTS else ""
    return f"{', '.join(uris[:_SHOWN_OBJECTS])}{more} of source {task.source.name}"
