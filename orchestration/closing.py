"""Closing a month and opening it again: what must be true first, and what a person is told of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Final

import duckdb

from ingest.books import Close, close_period, list_closes, reopen_period
from ingest.home import Home
from orchestration.build_state import read_built
from orchestration.dbt_runtime import fingerprint_code

_BLOCKERS: Final = {
    "running": "days of it are still missing from the sources",
    "held_back": "a bill waits for an exchange rate (fct_reconciliation, step held_back)",
    "invoice_residual": "the ledger differs from the invoice (fct_reconciliation, step residual)",
    "gateway_residual": "the gateway's tokens differ from the provider's bill (fct_reconciliation)",
    "accrued": "use is accrued that no bill covers yet",
}
"""What dim_billing_periods may name against a close, in words."""


class CloseError(Exception):
    """The month cannot be closed as it stands."""


@dataclass(frozen=True)
class PeriodState:
    """One row of dim_billing_periods, as far as a close needs it."""

    period_start_date: date
    period_status: str
    blockers: tuple[str, ...]
    effective_cost_usd: Decimal


def close_month(home: Home, period: date, *, accepted_reason: str | None) -> Close:
    """Book `period` from the warehouse, which must hold a whole build. Under the home's lock.

    `accepted_reason` says why it is closed in spite of what stands against it. Raises `CloseError`, `BooksError`.
    """
    read_built(home)
    states = _read_states(home)
    state = next((state for state in states if state.period_start_date == period), None)
    if state is None:
        known = ", ".join(f"{other.period_start_date:%Y-%m}" for other in states) or "none"
        raise CloseError(f"Nothing is posted in {period:%Y-%m}; periods with postings: {known}.")
    earlier = [other for other in states if other.period_start_date < period and other.period_status != "closed"]
    if earlier and state.period_status != "closed":
        raise CloseError(
            f"{earlier[0].period_start_date:%Y-%m} is open, and periods close in order: "
            f"`wattledger close {earlier[0].period_start_date:%Y-%m}` first."
        )
    if state.blockers and not accepted_reason:
        named = "\n".join(f"  - {blocker}: {_BLOCKERS.get(blocker, blocker)}" for blocker in state.blockers)
        raise CloseError(
            f"{period:%Y-%m} is {state.period_status} and not ready to close:\n{named}\n"
            'Mend it and run again, or close it all the same: --accept "why".'
        )
    return close_period(home, period, reason=accepted_reason, blockers=state.blockers, code=fingerprint_code())


def reopen_month(home: Home, period: date, *, reason: str) -> Close:
    """Take the close of `period` out of force. Raises `BooksError`."""
    return reopen_period(home, period, reason=reason)


def list_statements(home: Home, period: date) -> Sequence[tuple[str, str, Decimal]]:
    """Team, statement number and USD of each statement of a closed month, by team."""
    closes = [close for close in list_closes(home) if close.period_start_date == period]
    if not closes:
        return []
    with duckdb.connect(str(home.warehouse_path), read_only=True) as warehouse:
        return warehouse.execute(
            """select team_id, any_value(statement_number), sum(statement_usd)
            from marts.fct_statement_lines where posting_period_start_date = ?
            group by team_id order by team_id""",
            [period],
        ).fetchall()


def _read_states(home: Home) -> list[PeriodState]:
    with duckdb.connect(str(home.warehouse_path), read_only=True) as warehouse:
        rows = warehouse.execute(
            """select period_start_date, period_status, close_blockers, effective_cost_usd
            from marts.dim_billing_periods order by period_start_date"""
        ).fetchall()
    return [
        PeriodState(period, status, tuple(blockers.split(", ")) if blockers else (), effective)
        for period, status, blockers, effective in rows
    ]
