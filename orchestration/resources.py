"""What assets share: the home they work on, and somewhere to say how far they are."""

import contextlib
from collections.abc import Iterator
from datetime import date
from typing import Final, Protocol

import dagster as dg

from ingest.date_span import DateSpan
from ingest.disposable import heal_state, heal_warehouse
from ingest.home import Home, hold_lock, open_home

LOCK_WAIT_SECONDS: Final = 3600.0
"""A scheduled run waits this long for another writer. The CLI has the lock before its run starts, and never waits."""


class AgainConfig(dg.Config):
    """Days to read and build again, both included, such as 2026-09-01; none by default."""

    first_date: str | None = None
    last_date: str | None = None

    def read_again(self) -> DateSpan | None:
        """Raises `ValueError` for what are no days, or one without the other."""
        if self.first_date is None and self.last_date is None:
            return None
        if self.first_date is None or self.last_date is None:
            raise ValueError("expected first_date and last_date, found one without the other")
        return DateSpan(date.fromisoformat(self.first_date), date.fromisoformat(self.last_date))


class HomeResource(dg.ConfigurableResource):
    """The home that a run reads and writes."""

    path: str

    def open(self) -> Home:
        """Raises `HomeError` when there is no home at the path."""
        return open_home(self.path)

    @contextlib.contextmanager
    def locked(self) -> Iterator[Home]:
        """The home, with this process as its one writer."""
        home = self.open()
        with hold_lock(home, wait_seconds=LOCK_WAIT_SECONDS):
            heal_state(home)
            heal_warehouse(home)
            yield home


class ProgressListener(Protocol):
    """Hears how far long work is: the CLI draws bars with it."""

    def report(self, task: str, done: int, total: int | None, note: str = "") -> None:
        """`done` of `total` steps of `task`; `total` is None while it is not known."""
        ...


class SilentProgress:
    """Nobody is watching: Dagster's own event log has the steps."""

    def report(self, task: str, done: int, total: int | None, note: str = "") -> None:
        """Says nothing."""
