"""Landing of bills from a server: what it has of each is one delivery, pulled again whenever it has more.

No bill is ever settled: rows are added to one for weeks, so each landing asks what there is of all of them, and pulls
those whose count of rows or latest change differs from what was landed. A bill that lost rows at the server stands as
it was landed.
"""

import hashlib
from collections.abc import Mapping, Sequence
from contextlib import closing
from typing import Final, cast

from ingest.bill_landing import land_bills
from ingest.config import SourceConfig
from ingest.failures import asking
from ingest.home import Home
from ingest.landing_run import LandingRun, SourceReport, hash_options, needs_reading, utc_text
from ingest.reading import PulledObject
from ingest.registry import STANDING, RegistryRow
from ingest.source import BillServer, BillServerKind, ServedBill, SourceKind
from ingest.storage import StorageError

Known = Mapping[str, list[RegistryRow]]

_FOLDER: Final = "pulled"


def land_served_bills(run: LandingRun, source: SourceConfig, kind: SourceKind, report: SourceReport) -> None:
    """Pull and land all bills that are new, changed or refused before, one after another.

    Raises `StorageError` when the server fails or the disk is full; what was landed until then stands.
    """
    with closing(_connect(source, kind, run.home)) as server:
        with asking(source.name):
            bills = server.list_bills()
        known = run.registry.read_source(source.name)
        named = {_name_bill(source, bill) for bill in bills}
        run.forget_withdrawn(source, kind, known, named)
        due = _list_due(source, bills, known)
        report.deliveries_unchanged += len(bills) - len(due)
        if not bills:
            report.messages.append(f"{source.location}: nothing there yet")
        for index, bill in enumerate(due, 1):
            if (had := _count_standing(source, bill, known)) > bill.row_count:
                report.deliveries_unchanged += 1
                report.messages.append(
                    f"{_name_bill(source, bill)}: {bill.row_count:,} rows, fewer than the {had:,} that landed before, "
                    "which are kept: the server keeps them no longer"
                )
                continue
            _land_bill(run, source, kind, server, bill, report, named | known.keys())
            if run.progress:
                run.progress(source.name, index, len(due))


def count_due_bills(source: SourceConfig, kind: SourceKind, known: Known, home: Home) -> int:
    """How many bills `land_served_bills` would pull now. Raises `StorageError`."""
    with closing(_connect(source, kind, home)) as server:
        return len(_list_due(source, server.list_bills(), known))


def _connect(source: SourceConfig, kind: SourceKind, home: Home) -> BillServer:
    assert kind.server is not None and kind.refuses_whole_deliveries
    return cast(BillServerKind, kind.server).connect(source.location, source.options, home.path)


def _land_bill(
    run: LandingRun,
    source: SourceConfig,
    kind: SourceKind,
    server: BillServer,
    bill: ServedBill,
    report: SourceReport,
    listed: set[str],
) -> None:
    folder = run.home.scratch_dir / _FOLDER
    described = _describe(source, bill)
    target = folder / hashlib.sha256(described.uri.encode()).hexdigest()[:24]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with asking(described.uri):
            server.pull(bill, target)
        pulled = PulledObject(
            described.uri, target.stat().st_size, described.etag, described.modified_at, target, bill.row_count
        )
        land_bills(run, source, kind, [pulled], report, listed)
    except OSError as error:
        raise StorageError(
            f"{described.uri}: an answer cannot be written to {folder}: {error.strerror}. "
            "Free some space there, or mend its rights."
        ) from error
    finally:
        target.unlink(missing_ok=True)


def _list_due(source: SourceConfig, bills: Sequence[ServedBill], known: Known) -> list[ServedBill]:
    options_id = hash_options(source)
    described = ((bill, _describe(source, bill)) for bill in bills)
    return [bill for bill, item in described if needs_reading(known.get(item.uri), item, options_id)]


def _count_standing(source: SourceConfig, bill: ServedBill, known: Known) -> int:
    return sum(row.rows_landed for row in known.get(_name_bill(source, bill), ()) if row.status in STANDING)


def _name_bill(source: SourceConfig, bill: ServedBill) -> str:
    """What a bill is called in the registry and in the lake, wherever its server stands."""
    return f"{source.name}@{bill.name}"


def _describe(source: SourceConfig, bill: ServedBill) -> PulledObject:
    """A bill as an object that is not there yet."""
    changed = utc_text(bill.changed_at)
    return PulledObject(_name_bill(source, bill), 0, f"{bill.row_count}|{changed}", bill.changed_at)
