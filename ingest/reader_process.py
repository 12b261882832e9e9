"""A reader process: `python -m ingest.reader_process` takes tasks from stdin and answers on stdout, pickled."""

import os
import pickle
import queue
import sys
import threading
from typing import IO, Final

import duckdb
import pyarrow as pa

from ingest.kinds import KINDS
from ingest.reader_pool import ReaderFailure
from ingest.reading import Reading, ReadingTask, read_task

_ENGINE_MEMORY: Final = "256MB"


def main() -> None:
    """Serve until stdin ends."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what a library prints must not stand among the answers
    pa.set_cpu_count(1)
    tasks: queue.SimpleQueue[ReadingTask] = queue.SimpleQueue()
    threading.Thread(target=_receive, args=(sys.stdin.buffer, tasks), daemon=True).start()
    engine = duckdb.connect(config={"memory_limit": _ENGINE_MEMORY, "threads": 1})
    engine.execute("set TimeZone = 'UTC'; set enable_progress_bar = false")
    while True:
        pickle.dump(_answer(engine, tasks.get()), answers)
        answers.flush()


def _receive(inbox: IO[bytes], tasks: "queue.SimpleQueue[ReadingTask]") -> None:
    """Take tasks while the main thread reads: the end of stdin is how the parent's death shows, even in mid-task."""
    try:
        while True:
            tasks.put(pickle.load(inbox))
    except (EOFError, pickle.UnpicklingError):
        os._exit(0)


def _answer(engine: duckdb.DuckDBPyConnection, task: ReadingTask) -> Reading | ReaderFailure:
    try:
        return read_task(engine, KINDS[task.source.kind], task)
    except Exception as error:
        return ReaderFailure(str(error) or "memory ran out")


if __name__ == "__main__":
    main()
