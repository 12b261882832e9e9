"""What must hold of the rows of a bill together, before they are landed."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Final

from ingest import slices
from ingest.billing.statements import name_statement, read_statement
from ingest.config import SourceConfig
from ingest.contracts import INVOICE_LINES, LandingTable
from ingest.deliveries import Delivery
from ingest.landing_run import LandingRun
from ingest.reading import Reading
from ingest.registry import LOST
from ingest.source import ObjectRefusedError, SourceKind
from ingest.storage import StorageError, StoredObject, open_stream

_TOLERANCE: Final = Decimal("0.01")  # an invoice rounds its total once, and its lines each
_DRAFT_SQL: Final = "coalesce(lower(invoice_status) = 'draft', false) or starts_with(invoice_id, 'draft-')"
_LONGEST_STATEMENT_BYTES: Final = 1 << 20


def find_fault(
    run: LandingRun, kind: SourceKind, key: str, rows_sql: str, delivery: Delivery, parts: Sequence[StoredObject]
) -> str | None:
    """Why the rows of a slice would charge too little, or something twice; None when they do not."""
    lost = [row.object_uri for row in run.registry.read_slice(kind.table, key) if row.status == LOST]
    read = {part.uri for part in parts}
    gone = [uri for uri in lost if delivery.owns(uri) and uri not in read]
    if gone:
        return (
            f"{gone[0]} was a part of {key}, the lake lost its rows, and it is not at the source any more: half a bill "
            "is a wrong bill. Put it back, or accept the loss"
        )
    return _find_doubled(run, kind.table, key, rows_sql, len(parts))


def _find_doubled(run: LandingRun, table: LandingTable, key: str, rows_sql: str, part_count: int) -> str | None:
    twice = slices.find_repeated_row(run.engine, table, rows_sql) if part_count > 1 else []
    if twice:
        return f"the same row stands in two parts of {key}: {' and '.join(twice)}. Each part must hold its own"
    if table is not INVOICE_LINES:
        return None
    named = "min(_object || ' (' || invoice_id || ')')"
    found = run.engine.execute(
        f"select {named} filter (where {_DRAFT_SQL}), {named} filter (where not ({_DRAFT_SQL})) from ({rows_sql})"
    ).fetchone()
    if found is None or None in found:
        return None
    return f"{key} has a draft, {found[0]}, beside what was issued, {found[1]}: take the draft away, both would count"


def find_gap(
    run: LandingRun,
    table: LandingTable,
    source: SourceConfig,
    reading: Reading,
    delivery: Delivery,
) -> str | None:
    """Why a part is not what its manifest says of it, or an invoice's file not what is stated of it beside it; None
    when it is, or when nothing is said."""
    uri = reading.items[0].stored.uri
    promised = delivery.row_counts.get(uri)
    if promised not in (None, reading.items[0].rows_written):
        return f"{uri}: has {reading.items[0].rows_written} rows, its manifest says {promised}: half delivered"
    stated = next((item for item in delivery.objects if item.uri == name_statement(uri)), None)
    if table is not INVOICE_LINES or stated is None:
        return None
    try:
        with open_stream(stated, source.options) as stream:
            statement = read_statement(stream.read(_LONGEST_STATEMENT_BYTES))
    except (StorageError, ObjectRefusedError) as error:
        return f"{uri}: what is stated of it in {stated.uri} cannot be read: {error}"
    found = run.engine.execute(
        "select coalesce(sum(amount), 0), list_sort(list(distinct currency)), list_sort(list(distinct invoice_id)) "
        f"from ({slices.scan_spool_sql(table, reading.paths)})"
    ).fetchone()
    assert found is not None
    total, currencies, invoices = found
    for name, values in (("currency", currencies or []), ("invoice_id", invoices or [])):
        expected = statement.get(name)
        if expected is not None and values != [str(expected)]:
            return f"{uri}: {stated.uri} states {name} {expected}; its lines have {', '.join(values) or 'none'}"
    gap = total - statement["total"]
    if abs(gap) <= _TOLERANCE:
        return None
    return (
        f"{uri}: its lines come to {total.normalize():f}, {stated.uri} states {statement['total']:f}, off by "
        f"{gap.normalize():f}: deliver the invoice whole"
    )
