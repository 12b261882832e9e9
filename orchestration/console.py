"""What a person sees of long work: bars on a terminal, one plain line a task elsewhere."""

import contextlib
import logging
import time
from collections.abc import Iterator
from types import TracebackType
from typing import Final

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

from ingest.disposable import REPAIRS

_NOTE_CHARACTERS: Final = 48


@contextlib.contextmanager
def told_repairs(console: Console) -> Iterator[None]:
    """Inside the block, what a home repairs of itself is printed, each repair in a line."""
    handler = _ConsoleHandler(console)
    REPAIRS.addHandler(handler)
    was_propagating, REPAIRS.propagate = REPAIRS.propagate, False
    try:
        yield
    finally:
        REPAIRS.removeHandler(handler)
        REPAIRS.propagate = was_propagating


class _ConsoleHandler(logging.Handler):
    def __init__(self, console: Console) -> None:
        super().__init__()
        self._console = console

    def emit(self, record: logging.LogRecord) -> None:
        self._console.print(f"repaired: {record.getMessage()}", soft_wrap=True, markup=False, highlight=False)


class ConsoleProgress:
    """A progress listener that draws. Where the console is no terminal it prints a line when a task ends.

    Use as a context manager around the work.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._started_at: dict[str, float] = {}
        self._last: dict[str, tuple[int, int | None]] = {}
        self._tasks: dict[str, TaskID] = {}
        self._bars = Progress(
            SpinnerColumn(finished_text="[green]✓[/]"),
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=30),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[note]}", style="dim", markup=False),
            console=console,
            disable=not console.is_terminal,
        )

    def __enter__(self) -> "ConsoleProgress":
        self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for task in list(self._last):
            self.end(task)
        self._bars.stop()

    def report(self, task: str, done: int, total: int | None, note: str = "") -> None:
        """Show how far `task` is; one task runs at a time, so a new one ends the last."""
        for ended in [other for other in self._last if other != task]:
            self.end(ended)
        self._started_at.setdefault(task, time.monotonic())
        self._last[task] = (done, total)
        note = note if len(note) <= _NOTE_CHARACTERS else f"…{note[-_NOTE_CHARACTERS:]}"
        if task not in self._tasks:
            self._tasks[task] = self._bars.add_task(task, total=total, note=note)
        self._bars.update(self._tasks[task], completed=done, total=total, note=note)
        if done == total:
            self.end(task)

    def end(self, task: str) -> None:
        """Close `task` at what it reached."""
        if task not in self._last:
            return
        done, _ = self._last.pop(task)
        if task in self._tasks:  # an interrupt may have come before it had a bar
            self._bars.update(self._tasks.pop(task), completed=done, total=done, note="")
        if not self._console.is_terminal:
            seconds = time.monotonic() - self._started_at.pop(task)
            self._console.print(f"{task}: {done} in {seconds:.1f} s", markup=False, highlight=False)
