"""The books: closes of periods, and the ledger rows, statements and journals that they froze.

A close copies what the warehouse says of one posting period into HOME/books; from then on the period is read from there
and never computed again. Only rows are appended: a reopen takes a close out of force, the next close books anew. The
row of `closes` is written last, so that what a killed close left behind is in no close and counts nowhere.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any, Final

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from ingest import lake
from ingest.book_files import append_book, read_book
from ingest.book_tables import (
    CLOSE_INPUTS,
    CLOSED_JOURNAL,
    CLOSED_LEDGER,
    CLOSED_PRICES,
    CLOSED_STATEMENT_LINES,
    CLOSES,
)
from ingest.contracts import LandingTable
from ingest.home import Home, hold_lock

BOOKED: Final = (
    (CLOSED_LEDGER, "marts.fct_cost_ledger", "ledger_row_id"),
    (CLOSED_STATEMENT_LINES, "marts.fct_statement_lines", "team_id, line_number"),
    (CLOSED_JOURNAL, "marts.fct_gl_journal", "line_number"),
    (
        CLOSED_PRICES,
        "(select distinct posting_period_start_date, price_sets.* from marts.dim_price_sets as price_sets "
        "join marts.fct_cost_ledger using (price_set_id))",
        "price_set_id, price_id, usd_per_mtok",
    ),
)
"""What a close freezes: the book, the mart whose rows of the posting period it copies, and their order."""

_HASHED_ROWS: Final = 10_000


class BooksError(Exception):
    """The books do not allow what was asked, or do not say what they said when they were closed."""


@dataclass(frozen=True)
class Close:
    """A close in force. `period_start_date` is the first day of a calendar month."""

    close_id: str
    period_start_date: date
    revision: int
    closed_at: datetime
    fingerprint: str
    ledger_row_count: int
    statement_count: int


def list_closes(home: Home) -> list[Close]:
    """The closes in force, by period."""
    rows = _read_actions(home)
    reopened = {row["close_id"] for row in rows if row["action"] == "reopen"}
    closes = [
        Close(
            row["close_id"],
            row["period_start_date"],
            row["revision"],
            row["acted_at"],
            row["fingerprint"],
            row["ledger_row_count"],
            row["statement_count"],
        )
        for row in rows
        if row["action"] == "close" and row["close_id"] not in reopened
    ]
    return sorted(closes, key=lambda close: close.period_start_date)


def close_period(home: Home, period: date, *, reason: str | None, blockers: Sequence[str], code: str) -> Close:
    """Book the warehouse's rows of posting period `period` (a first of a month).

    `blockers` are what stood against it and was accepted for `reason`; `code` is the fingerprint of the models. The
    warehouse must hold a whole build. Raises `BooksError` when the period is closed, or an earlier one is open.
    """
    with hold_lock(home):
        actions = _read_actions(home)
        if any(close.period_start_date == period for close in list_closes(home)):
            raise BooksError(
                f"{period:%Y-%m} is closed already. Corrections are posted in the first open period by themselves; to "
                f'restate it, `wattledger reopen {period:%Y-%m} --reason "…"` first.'
            )
        revision = 1 + sum(row["action"] == "close" and row["period_start_date"] == period for row in actions)
        acted_at = datetime.now(UTC).replace(tzinfo=None)
        # Unique, so that what a killed close left behind is not taken for rows of the next one.
        close_id = f"{period:%Y-%m}/{revision}-{lake.hash_text(str(acted_at), str(home.path))[:8]}"
        with duckdb.connect(str(home.warehouse_path), read_only=True) as warehouse:
            booked = {table.name: _read_mart(warehouse, table, mart, period, close_id) for table, mart, _ in BOOKED}
            inputs = warehouse.execute(
                "select ? as close_id, input_name, usage_date, fingerprint from raw.build_inputs order by all",
                [close_id],
            ).to_arrow_table()
        statements = booked[CLOSED_STATEMENT_LINES.name]
        numbered = pa.array(
            [f"{period:%Y-%m}/{team_id}/{revision}" for team_id in statements["team_id"].to_pylist()], pa.string()
        )
        place = statements.schema.get_field_index("statement_number")
        booked[CLOSED_STATEMENT_LINES.name] = statements.set_column(place, "statement_number", numbered)
        for table, _, _ in BOOKED:
            append_book(home, _name_book(table), booked[table.name])
        append_book(home, _name_book(CLOSE_INPUTS), inputs.cast(CLOSE_INPUTS.schema))
        close = Close(
            close_id=close_id,
            period_start_date=period,
            revision=revision,
            closed_at=acted_at,
            fingerprint=_fingerprint(booked),
            ledger_row_count=booked[CLOSED_LEDGER.name].num_rows,
            statement_count=len(set(statements["team_id"].to_pylist())),
        )
        _append_action(
            home,
            close,
            "close",
            acted_at,
            reason=reason,
            accepted_blockers=", ".join(blockers) or None,
            code_fingerprint=code,
        )
        return close


def reopen_period(home: Home, period: date, *, reason: str) -> Close:
    """Take the close of `period` out of force; its statements stay in the books as they were sent.

    Raises `BooksError` when the period is not closed, when a later one is, or when no reason is given.
    """
    if not reason.strip():
        raise BooksError(f"A reopen of {period:%Y-%m} needs a reason: it is kept in the books and shown.")
    with hold_lock(home):
        closes = list_closes(home)
        close = next((close for close in closes if close.period_start_date == period), None)
        if close is None:
            closed = ", ".join(f"{close.period_start_date:%Y-%m}" for close in closes) or "none"
            raise BooksError(f"{period:%Y-%m} is not closed; closed are: {closed}.")
        if closes[-1].period_start_date > period:
            raise BooksError(
                f"{closes[-1].period_start_date:%Y-%m} was closed after {period:%Y-%m} and rests on it: "
                "reopen it first."
            )
        _append_action(home, close, "reopen", datetime.now(UTC).replace(tzinfo=None), reason=reason)
        return close


def verify_close(home: Home, close: Close) -> None:
    """Raises `BooksError` when the books do not say what they said when `close` was made."""
    booked = {}
    for table, _, order in BOOKED:
        book = read_book(home, _name_book(table))
        rows = table.schema.empty_table() if book is None else book.select(table.schema.names)
        kept = rows.filter(pc.field("close_id") == close.close_id)
        booked[table.name] = kept.sort_by([(name.strip(), "ascending") for name in order.split(",")])
    found = _fingerprint(booked)
    if found != close.fingerprint:
        raise BooksError(
            f"{home.books_dir}: close {close.close_id} of {close.period_start_date:%Y-%m}: expected fingerprint "
            f"{close.fingerprint}, found {found}. Its rows were changed after the close: "
            "restore the books from a backup."
        )


def _read_mart(
    warehouse: duckdb.DuckDBPyConnection, table: LandingTable, mart: str, period: date, close_id: str
) -> pa.Table:
    order = next(order for booked, _, order in BOOKED if booked is table)
    names = [name for name in table.schema.names if name != "close_id"]
    rows = warehouse.execute(
        f"select ? as close_id, {', '.join(names)} from {mart} where posting_period_start_date = ? order by {order}",
        [close_id, period],
    ).to_arrow_table()
    return rows.select(table.schema.names).cast(table.schema)


def _fingerprint(booked: dict[str, pa.Table]) -> str:
    """SHA-256 of all rows in order, every value as text with its length, so that no two books look alike."""
    digest = hashlib.sha256()
    for table, _, _ in BOOKED:
        for batch in booked[table.name].to_batches(max_chunksize=_HASHED_ROWS):
            for row in zip(*(column.to_pylist() for column in batch.columns), strict=True):
                digest.update("".join("~" if value is None else _measure(str(value)) for value in row).encode())
    return digest.hexdigest()


def _measure(text: str) -> str:
    return f"{len(text)}:{text}"


def _name_book(table: LandingTable) -> str:
    return table.name.removeprefix("book_")


def _read_actions(home: Home) -> list[dict[str, Any]]:
    book = read_book(home, _name_book(CLOSES))
    return [] if book is None else book.to_pylist()


def _append_action(home: Home, close: Close, action: str, acted_at: datetime, **columns: str | None) -> None:
    row: dict[str, Any] = {
        "close_id": close.close_id,
        "period_start_date": close.period_start_date,
        "revision": close.revision,
        "action": action,
        "acted_at": acted_at,
        "ledger_row_count": close.ledger_row_count,
        "statement_count": close.statement_count,
        "fingerprint": close.fingerprint,
        **columns,
    }
    append_book(home, _name_book(CLOSES), pa.Table.from_pylist([row], schema=CLOSES.schema))
