"""Landing from a server: each window of its time is one delivery, asked again while it may still change.

A delivery is known by source, window and the hash of the answer; the registry's version is the moment as of which it
was asked, by the server's clock or ours, whichever is behind. A window is settled when it was asked later than its end
and the re-read time; unsettled ones are asked at each landing, and land only when the answer differs.
"""

import hashlib
import shutil
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Final, cast

from ingest.config import SourceConfig
from ingest.date_span import DateSpan
from ingest.failures import asking
from ingest.home import Home
from ingest.landing_run import LandingRun, SourceReport, hash_options, list_options_ids, needs_reading, utc_text
from ingest.log_landing import land_logs
from ingest.reading import PulledObject
from ingest.registry import LOST, REFUSED, STANDING, RegistryRow
from ingest.server_options import read_re_read, read_span
from ingest.source import Server, SourceKind, Window, WindowedServer, WindowedServerKind
from ingest.storage import StorageError

_ASKED_AT_ONCE: Final = 4
_BATCH_BYTES: Final = 256 << 20
_BATCH_WINDOWS: Final = 1_000
_SKEW_TOLD: Final = timedelta(seconds=60)


def name_window(source: SourceConfig, window: Window) -> str:
    """What a window is called in the registry and in the lake, wherever its server stands."""
    return f"{source.name}@{window.start:%Y-%m-%dT%H:%MZ}"


def plan_windows(source: SourceConfig, kind: WindowedServerKind, now: datetime) -> list[Window]:
    """Every window of a source that has begun by `now`; the last one ends with `now` at the latest."""
    start, end = read_span(source.options, now)
    windows: list[Window] = []
    while start < end:
        windows.append(Window(start, min(start + kind.window, end)))
        start += kind.window
    return windows


def list_due_windows(
    source: SourceConfig,
    kind: SourceKind,
    known: dict[str, list[RegistryRow]],
    now: datetime,
    again: DateSpan | None = None,
) -> list[Window]:
    """The windows that a landing asks for at `now`: new, refused, read with other options, not settled, or of days that
    are to be asked `again`."""
    server_kind = _read_windowed(kind)
    options_id = hash_options(source)
    re_read = read_re_read(source.options, server_kind.re_read)

    def is_settled(window: Window) -> bool:
        if again is not None and again.overlaps(window.start, window.end):
            return False
        rows = known.get(name_window(source, window), ())
        settled_at = utc_text(_find_end(window, server_kind) + re_read)
        return bool(rows) and all(
            row.status not in (REFUSED, LOST) and row.options_sha256 == options_id and row.version >= settled_at
            for row in rows
        )

    return [window for window in plan_windows(source, server_kind, now) if not is_settled(window)]


@contextmanager
def reach_server(source: SourceConfig, kind: SourceKind, home: Home) -> Iterator[Server]:
    """The source's server, closed after use. Raises `ServerError`."""
    assert kind.server is not None
    with closing(kind.server.connect(source.location, source.options, home.path)) as server:
        yield server


def land_windows(run: LandingRun, source: SourceConfig, kind: SourceKind, report: SourceReport) -> None:
    """Ask for all windows that are due, oldest first, and land them batch by batch.

    Raises `StorageError` when the server fails or the disk is full; what was landed until then stands.
    """
    server_kind = _read_windowed(kind)
    with asking(source.name):
        connected = server_kind.connect(source.location, source.options, run.home.path)
    with closing(connected) as server:
        with asking(source.name):
            now = _read_common_clock(server, report)
        known = run.registry.read_source(source.name)
        planned = plan_windows(source, server_kind, now)
        run.forget_withdrawn(source, kind, known, {name_window(source, window) for window in planned})
        due = list_due_windows(source, kind, known, now, run.again)
        report.deliveries_unchanged += len(planned) - len(due)
        _Puller(run, source, kind, server, now, report).land(due)


def _read_windowed(kind: SourceKind) -> WindowedServerKind:
    """A kind of bills is asked by `ingest.bill_server_landing`."""
    assert kind.server is not None and not kind.refuses_whole_deliveries
    return cast(WindowedServerKind, kind.server)


def _read_common_clock(server: WindowedServer, report: SourceReport) -> datetime:
    """The earlier of the server's time and ours: what is later for one of us cannot be settled."""
    ours, theirs = datetime.now(UTC), server.read_clock()
    if abs(theirs - ours) > _SKEW_TOLD:
        side = "ahead of" if theirs > ours else "behind"
        seconds = abs(theirs - ours).total_seconds()
        report.messages.append(f"its clock is {seconds:,.0f} s {side} ours: windows follow the earlier of the two")
    return min(ours, theirs)


def _find_end(window: Window, kind: WindowedServerKind) -> datetime:
    """The end of a whole window, of which `window` may be the part that has passed."""
    return window.start + kind.window


class _Puller:
    """Asks for windows of one source and lands the answers."""

    def __init__(
        self,
        run: LandingRun,
        source: SourceConfig,
        kind: SourceKind,
        server: WindowedServer,
        now: datetime,
        report: SourceReport,
    ) -> None:
        self._run = run
        self._source = source
        self._kind = kind
        self._server_kind = _read_windowed(kind)
        self._server = server
        self._now = now
        self._report = report
        self._re_read = read_re_read(source.options, self._server_kind.re_read)
        self._folder = run.home.scratch_dir / "pulled"
        self._done = 0

    def land(self, due: Sequence[Window]) -> None:
        waiting = iter(due)
        empty: list[Window] = []
        while batch := list(islice(waiting, _BATCH_WINDOWS)):
            while batch:
                batch = self._land_some(batch, len(due), empty)
        if empty:
            first, last = empty[0].start, empty[-1].end
            self._report.messages.append(
                f"no rows in {len(empty)} of the windows asked, from {first:%Y-%m-%dT%H:%MZ} to {last:%Y-%m-%dT%H:%MZ}"
            )

    def _land_some(self, windows: list[Window], due_count: int, empty: list[Window]) -> list[Window]:
        """Land the first windows, as many as a batch may hold; what is left is returned."""
        shutil.rmtree(self._folder, ignore_errors=True)
        self._folder.mkdir(parents=True, exist_ok=True)
        pulled: list[tuple[Window, PulledObject]] = []
        failure: StorageError | None = None
        size_bytes = 0
        with ThreadPoolExecutor(_ASKED_AT_ONCE) as askers:
            waiting = iter(windows)
            asked = [(window, askers.submit(self._pull, window)) for window in islice(waiting, _ASKED_AT_ONCE)]
            while asked:
                window, future = asked.pop(0)
                try:
                    pulled.append((window, self._take(future)))
                except StorageError as error:
                    failure = failure or error
                    continue
                size_bytes += pulled[-1][1].size_bytes
                if failure is None and size_bytes < _BATCH_BYTES:
                    asked += [(later, askers.submit(self._pull, later)) for later in islice(waiting, 1)]
        self._land_pulled(pulled, due_count, empty)
        if failure is not None:
            raise failure
        return windows[len(pulled) :]

    def _pull(self, window: Window) -> PulledObject:
        uri = name_window(self._source, window)
        target = self._folder / hashlib.sha256(uri.encode()).hexdigest()[:24]
        with asking(uri):
            peeked = self._server.peek(window)
        etag = "" if peeked is None else hashlib.sha256(peeked.encode()).hexdigest()
        # What is written between the two questions shows in the next peek.
        if peeked is None or self._is_unread(uri, etag):
            with asking(uri):
                self._server.pull(window, target)
        else:
            target.touch()
        with target.open("rb") as file:
            etag = etag or hashlib.file_digest(file, "sha256").hexdigest()
        return PulledObject(
            uri=uri,
            size_bytes=target.stat().st_size,
            etag=etag,
            modified_at=self._now,
            path=target,
            least_rows=self._count_least_rows(uri),
        )

    def _take(self, future: "Future[PulledObject]") -> PulledObject:
        try:
            return future.result()
        except OSError as error:
            raise StorageError(
                f"{self._source.name}: an answer cannot be written to {self._folder}: {error.strerror}. "
                "Free some space there, or mend its rights."
            ) from error

    def _is_unread(self, uri: str, etag: str) -> bool:
        rows = self._run.registry.read_source(self._source.name).get(uri)
        return needs_reading(rows, PulledObject(uri, 0, etag, self._now), hash_options(self._source))

    def _count_least_rows(self, uri: str) -> int:
        """All that landed of a window before, where rows are only added; one, where they are restated.

        Whatever version read it: a server that keeps a window no longer cannot give it to a new reader.
        """
        same_options = list_options_ids(self._source)
        rows = self._run.registry.read_source(self._source.name).get(uri, ())
        standing = sum(row.rows_landed for row in rows if row.status in STANDING and row.options_sha256 in same_options)
        return standing if self._server_kind.is_append_only else min(standing, 1)

    def _land_pulled(self, pulled: Sequence[tuple[Window, PulledObject]], due_count: int, empty: list[Window]) -> None:
        objects = [item for _, item in pulled]
        land_logs(replace(self._run, progress=None), self._source, self._kind, objects, self._report)
        known = self._run.registry.read_source(self._source.name)
        # An answer that says what the one before said is not landed again; asked this late, it settles its window.
        self._run.registry.record(
            [
                replace(row, version=utc_text(item.modified_at), options_sha256=hash_options(self._source))
                for window, item in pulled
                if item.modified_at >= _find_end(window, self._server_kind) + self._re_read
                for row in known[item.uri]
                if row.status != REFUSED
            ]
        )
        for window, item in pulled:
            is_whole = window.end >= _find_end(window, self._server_kind)
            if is_whole and not any(row.rows_read or row.status == REFUSED for row in known[item.uri]):
                empty.append(window)
        self._done += len(pulled)
        if self._run.progress:
            self._run.progress(self._source.name, self._done, due_count)
        shutil.rmtree(self._folder, ignore_errors=True)
