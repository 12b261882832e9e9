"""Land what is new: run every source of sources.yml, the dated facts and the price book into the lake.

Bad input never raises here: it is refused, named in quarantine and told in the report, and the rest lands.
"""

import time
from collections.abc import Collection, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from ingest import lake, quarantine
from ingest.bill_landing import land_bills
from ingest.bill_scopes import release_rescoped
from ingest.bill_server_landing import count_due_bills, land_served_bills
from ingest.config import SourceConfig, is_server, load_sources
from ingest.contracts import LLM_PRICES
from ingest.date_span import DateSpan
from ingest.fact_landing import CONFIG_SOURCE, PRICES_SOURCE, land_facts, land_prices
from ingest.home import Home, hold_lock
from ingest.kinds import KINDS
from ingest.landing_run import LandingRun, Progress, SourceReport, hash_options, needs_reading
from ingest.log_landing import land_logs, settle_withdrawn
from ingest.quarantine import QuarantineSpool
from ingest.reader_pool import ReaderDiedError
from ingest.reading import Readers
from ingest.registry import Registry
from ingest.server_landing import land_windows, list_due_windows
from ingest.source import SourceKind
from ingest.stocktaking import describe_lost_rows, heal_lake, write_stocks
from ingest.storage import StorageError, StoredObject, list_objects
from ingest.unlanded import list_unlanded

_VACUUM_SECONDS: Final = 7 * 86_400


@dataclass(frozen=True)
class LandingReport:
    """What one `land` did, by source; the dated facts are the source `config`."""

    sources: tuple[SourceReport, ...]

    @property
    def has_refusals(self) -> bool:
        """True while a source, delivery or config file stands refused, landed nothing where it should have, or lost
        rows that could not be read again.
        """
        return any(
            report.deliveries_refused or report.is_stale or report.unlanded or report.has_lost
            for report in self.sources
        )


def count_changes(home: Home) -> dict[str, int]:
    """Objects that `land` would read and windows that it would ask for now, by source; a source that cannot be listed
    counts none. Writes nothing.
    """
    changes: dict[str, int] = {}
    with lake.open_engine(home) as engine:
        registry = Registry(home, engine)
        for source in load_sources(home, KINDS).sources:
            known = registry.read_source(source.name)
            if is_server(source.location) and not KINDS[source.kind].refuses_whole_deliveries:
                changes[source.name] = len(list_due_windows(source, KINDS[source.kind], known, datetime.now(UTC)))
                continue
            options_id = hash_options(source)
            try:
                if is_server(source.location):
                    changes[source.name] = count_due_bills(source, KINDS[source.kind], known, home)
                    continue
                objects = list_objects(source.location, source.options, home.path)
            except StorageError:
                objects = []
            changes[source.name] = sum(needs_reading(known.get(item.uri), item, options_id) for item in objects)
    return changes


def land(
    home: Home,
    *,
    only_kinds: Collection[str] | None = None,
    only_sources: Collection[str] | None = None,
    again: DateSpan | None = None,
    progress: Progress | None = None,
) -> LandingReport:
    """Land all that is new under the home's lock; of the days to read `again`, what servers say of them now, too.

    `only_kinds` and `only_sources` narrow it; the dated facts are the source `config` of kind `config`, the price book
    is `llm-prices` of kind `llm_prices`. Raises `ConfigError` for a sources.yml that cannot be used, and
    `LockHeldError`.
    """

    def is_wanted(name: str, kind: str) -> bool:
        return (only_kinds is None or kind in only_kinds) and (only_sources is None or name in only_sources)

    sources = [source for source in load_sources(home, KINDS).sources if is_wanted(source.name, source.kind)]
    reports: list[SourceReport] = []
    with _open_run(home, progress, again) as run:
        release_rescoped(run, [source for source in sources if KINDS[source.kind].refuses_whole_deliveries], KINDS)
        for source in sources:
            reports.append(_land_source(run, source, KINDS[source.kind]))
        if is_wanted(CONFIG_SOURCE, CONFIG_SOURCE):
            reports.append(land_facts(run))
        if is_wanted(PRICES_SOURCE, LLM_PRICES.name):
            reports.append(land_prices(run))
    return LandingReport(tuple(reports))


@contextmanager
def _open_run(home: Home, progress: Progress | None, again: DateSpan | None) -> Iterator[LandingRun]:
    with hold_lock(home):
        marker = home.state_dir / "landing-in-progress"
        vacuumed = home.state_dir / "vacuumed"
        age_seconds = time.time() - vacuumed.stat().st_mtime if vacuumed.exists() else _VACUUM_SECONDS
        marker.parent.mkdir(parents=True, exist_ok=True)
        # Before anything is swept: what a table lost from its log is still on disk.
        heal_lake(home)
        # A marker that is there means that the last landing was killed: what it never committed is nobody's.
        if marker.exists() or age_seconds >= _VACUUM_SECONDS:
            lake.vacuum_orphans(home)
            vacuumed.touch()
        marker.touch()
        with lake.open_engine(home) as engine:
            quarantined = quarantine.list_objects(home, engine)
            with closing(Readers(engine, home.scratch_dir)) as readers:
                yield LandingRun(home, engine, Registry(home, engine), quarantined, readers, progress, again)
        write_stocks(home)
        marker.unlink()


def _land_source(run: LandingRun, source: SourceConfig, kind: SourceKind) -> SourceReport:
    report = SourceReport(source.name, source.kind, kind.table.name)
    spool = QuarantineSpool(source.name, kind.kind, run.spool_dir)
    objects: list[StoredObject] = []
    try:
        if is_server(source.location):
            (land_served_bills if kind.refuses_whole_deliveries else land_windows)(run, source, kind, report)
        else:
            objects = list_objects(source.location, source.options, run.home.path)
    except StorageError as error:
        report.is_stale = True
        report.messages.append(str(error))
        spool.add(source.location, "object", None, None, str(error))
    run.replace_quarantine(source.name, {source.location} - {item.uri for item in objects}, spool)
    if not report.is_stale and not is_server(source.location):
        _land_objects(run, source, kind, objects, report)
    known = run.registry.read_source(source.name)
    if not report.is_stale:
        report.unlanded = list_unlanded(run.home, source, known, {item.uri for item in objects})
    ends = [row.data_through_at for rows in known.values() for row in rows if row.data_through_at is not None]
    report.data_through_at = max(ends, default=None)
    if lost := run.registry.list_lost().get(source.name):
        report.has_lost = True
        report.messages.append(describe_lost_rows(lost))
    return report


def _land_objects(
    run: LandingRun, source: SourceConfig, kind: SourceKind, objects: list[StoredObject], report: SourceReport
) -> None:
    if not objects:
        report.messages.append(f"{source.location}: nothing there yet")
    run.forget_withdrawn(source, kind, run.registry.read_source(source.name), {item.uri for item in objects})
    if not kind.refuses_whole_deliveries:
        settle_withdrawn(run, source, kind, {item.uri for item in objects}, report)
    try:
        (land_bills if kind.refuses_whole_deliveries else land_logs)(run, source, kind, objects, report)
    except ReaderDiedError as error:
        # Its objects may have taken all the memory: those of other sources do not.
        report.note_unreachable([str(error)])
