"""Where a dollar of a statement comes from, and what an invoice line paid for: a walk over the recorded edges.

Nothing is split here: shares and dollars are those of fct_allocation_edges. A charge group whose lines are several
shares each of them alike; the shares of a charge add up to exactly 1, so the parts of a line add up to the line.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any, Final

from delivery.marts import Marts

LISTED_ROWS: Final = 40
"""Rows that are listed one by one, the dearest first; what the rest comes to is told in one row, so that it foots."""

_KEY: Final = re.compile(r"[0-9a-f]{32}")
_STATEMENT: Final = re.compile(r"(?P<team>.+)[/+](?P<period>\d{4}-(?:0[1-9]|1[0-2]))[/+](?P<line>\d+)")
_LINE: Final = re.compile(r"(?P<object>.+):(?P<position>\d+)")
_SPLIT_KEYS: Final = (
    "charge_key, posting_period_start_date, team_id, from_team_id, allocation_step, allocation_method, owner_rule_id, "
    "price_set_id, policy_id, is_estimate"
)
_FORMS: Final = (
    "a ledger row id or charge key (32 hex digits), a statement line (TEAM/2026-10/3) or an invoice line "
    "(path/of/bill.csv:12)"
)


class TraceError(Exception):
    """There is nothing of that name in the published marts, or more than one thing."""


@dataclass(frozen=True)
class Split:
    """One way by which dollars of a charge went; summed over days, workloads and consumers."""

    charge_key: str
    posting_period_start_date: date
    team_id: str
    from_team_id: str | None
    allocation_step: str
    allocation_method: str
    owner_rule_id: str | None
    price_set_id: str | None
    policy_id: str | None
    is_estimate: bool
    share_of_charge: Decimal | None
    effective_cost_usd: Decimal


@dataclass(frozen=True)
class InvoiceLine:
    """A delivered line; `share` is the part of it that is traced, `part_usd` that part's dollars."""

    invoice_line_id: str
    charge_key: str
    object_uri: str | None
    object_position: int | None
    invoice_id: str | None
    provider_name: str
    billing_account_id: str
    billing_period_start_date: date
    service_name: str | None
    resource_id: str | None
    charge_description: str | None
    effective_cost_usd: Decimal | None
    lines_of_charge: int
    share: Decimal | None
    charge_part_usd: Decimal

    @property
    def part_usd(self) -> Decimal | None:
        """The traced part of the line: of the only line of a charge, what the edges say to the nano-dollar."""
        if self.lines_of_charge == 1:
            return self.charge_part_usd
        if self.share is None or self.effective_cost_usd is None:
            return None
        return self.share * self.effective_cost_usd


@dataclass(frozen=True)
class Trace:
    """What was asked for, in words, its dollars, the splits they went by, and the invoice lines at the other end.

    `goes_up`: from a charge or a line to all it paid for. `splits_usd` and `share` are of all splits, listed or not: of
    the whole charge where a line has it in common with others. `share` is null where a charge nets to 0.
    """

    title: str
    effective_cost_usd: Decimal
    goes_up: bool
    splits: Sequence[Split]
    split_count: int
    splits_usd: Decimal
    share: Decimal | None
    lines: Sequence[InvoiceLine]
    line_count: int

    def part_usd(self, split: Split) -> Decimal | None:
        """What a split is of the dollars that were asked for: of a line that has its charge in common, by its share."""
        if self.effective_cost_usd == self.splits_usd:
            return split.effective_cost_usd
        return None if split.share_of_charge is None else split.share_of_charge * self.effective_cost_usd


@dataclass(frozen=True)
class _Totals:
    split_count: int
    splits_usd: Decimal
    share: Decimal | None
    line_count: int


def trace(marts: Marts, reference: str) -> Trace:
    """Walk from a ledger row or a statement line down to invoice lines, from a charge or an invoice line up.

    Raises:
        TraceError: nothing has that name, or an invoice line's path is that of several files.
    """
    reference = reference.strip()
    if _KEY.fullmatch(reference):
        return _trace_key(marts, reference)
    if found := _STATEMENT.fullmatch(reference):
        return _trace_statement_line(marts, found["team"], found["period"], int(found["line"]))
    if found := _LINE.fullmatch(reference):
        return _trace_object_line(marts, found["object"], int(found["position"]))
    raise TraceError(f"{reference!r}: expected {_FORMS}")


def _trace_key(marts: Marts, key: str) -> Trace:
    ledger = _rows(marts, "select usage_date, team_id from fct_cost_ledger where ledger_row_id = ?", [key])
    if ledger:
        ((usage_date, team_id),) = ledger
        return _walk(marts, f"Ledger row {key}: {team_id}, {usage_date}", "ledger_row_id = ?", [key])
    if _rows(marts, "select 1 from fct_allocation_edges where charge_key = ? limit 1", [key]):
        return _walk(marts, f"Charge group {key}", "charge_key = ?", [key], goes_up=True)
    lines = _rows(
        marts, "select charge_key, object_uri, object_position from fct_invoice_lines where invoice_line_id = ?", [key]
    )
    if lines:
        ((charge_key, uri, position),) = lines
        return _walk_line(marts, charge_key, key, f"{uri}:{position}")
    raise TraceError(
        f"{key}: no ledger row, charge group or invoice line of the published marts has this id. Ids are those of "
        "fct_cost_ledger, fct_allocation_edges and fct_invoice_lines; a row that a later build has posted elsewhere "
        "has another."
    )


def _trace_statement_line(marts: Marts, team_id: str, period: str, line_number: int) -> Trace:
    start_date = date.fromisoformat(f"{period}-01")
    lines = _rows(
        marts,
        "select line_number from fct_statement_lines where team_id = ? and posting_period_start_date = ? order by 1",
        [team_id, start_date],
    )
    if (line_number,) not in lines:
        known = f"it has lines 1 to {lines[-1][0]}" if lines else "the team has no statement for that month"
        raise TraceError(f"{team_id}/{period}/{line_number}: no such statement line; {known}")
    return _walk(
        marts,
        f"Statement of {team_id}, {period}, line {line_number}",
        """ledger_row_id in (
            select ledger.ledger_row_id
            from fct_cost_ledger as ledger
            inner join fct_statement_lines as lines
                on lines.team_id = ledger.team_id
                and lines.posting_period_start_date = ledger.posting_period_start_date
                and lines.billing_period_start_date = ledger.billing_period_start_date
                and lines.posting_cause is not distinct from ledger.posting_cause
                and lines.provider_name = ledger.provider_name
                and lines.cost_pool = ledger.cost_pool
                and lines.cost_center_id is not distinct from ledger.cost_center_id
            where lines.team_id = ? and lines.posting_period_start_date = ? and lines.line_number = ?
        )""",
        [team_id, start_date, line_number],
    )


def _trace_object_line(marts: Marts, path: str, position: int) -> Trace:
    found = _rows(
        marts,
        """select charge_key, invoice_line_id, object_uri from fct_invoice_lines
        where object_position = ? and (object_uri = ? or ends_with(object_uri, '/' || ?)) order by object_uri""",
        [position, path, path],
    )
    if not found:
        raise TraceError(
            f"{path}:{position}: no invoice line of the published marts stands there. The path may be the end of the "
            "file's, from a folder on; a bill that a newer delivery replaced has no lines any more."
        )
    if len(found) > 1:
        raise TraceError(f"{path}:{position}: several files end so, name one: {', '.join(row[2] for row in found)}")
    ((charge_key, line_id, uri),) = found
    return _walk_line(marts, charge_key, line_id, f"{uri}:{position}")


def _walk_line(marts: Marts, charge_key: str, invoice_line_id: str, name: str) -> Trace:
    walked = _walk(marts, f"Invoice line {name}", "charge_key = ?", [charge_key], goes_up=True, line_id=invoice_line_id)
    if not walked.splits:
        raise TraceError(f"{name}: its slice has no exchange rate, so it is held back: see fct_reconciliation")
    return walked


def _walk(
    marts: Marts,
    title: str,
    condition: str,
    parameters: Sequence[Any],
    *,
    goes_up: bool = False,
    line_id: str | None = None,
) -> Trace:
    """`condition` is text of this module over fct_allocation_edges."""
    edges = f"(select * from fct_allocation_edges where {condition})"
    lines = "(select * from fct_invoice_lines where invoice_line_id = coalesce(?, invoice_line_id))"
    (totals,) = marts.fetch(
        _Totals,
        f"""select
            count(distinct ({_SPLIT_KEYS})) as split_count,
            coalesce(sum(effective_cost_usd), 0) as splits_usd,
            -- A charge that nets to 0 has no shares, and takes them from the whole.
            case when count(*) = count(share_of_charge) then sum(share_of_charge) end as share,
            (select count(*) from {lines} where charge_key in (select charge_key from {edges})) as line_count
        from {edges}""",
        [line_id, *parameters, *parameters],
    )
    splits = marts.fetch(
        Split,
        f"""select
            {_SPLIT_KEYS}, sum(share_of_charge) as share_of_charge, sum(effective_cost_usd) as effective_cost_usd
        from {edges} group by {_SPLIT_KEYS}
        order by abs(sum(effective_cost_usd)) desc, {_SPLIT_KEYS} limit {LISTED_ROWS}""",
        parameters,
    )
    found = marts.fetch(
        InvoiceLine,
        f"""with parts as (
            select charge_key, sum(share_of_charge) as share, sum(effective_cost_usd) as charge_part_usd
            from {edges} group by charge_key
        ),
        counted as (
            select charge_key, count(*) as lines_of_charge from fct_invoice_lines
            where charge_key in (select charge_key from parts) group by charge_key
        )
        select
            invoice_line_id, charge_key, object_uri, object_position, invoice_id, provider_name, billing_account_id,
            billing_period_start_date, service_name, resource_id, charge_description, effective_cost_usd,
            lines_of_charge, share, charge_part_usd
        from {lines} inner join parts using (charge_key) inner join counted using (charge_key)
        order by abs(effective_cost_usd * share::double) desc nulls last, object_uri, object_position
        limit {LISTED_ROWS}""",
        [*parameters, line_id],
    )
    usd = totals.splits_usd
    if line_id is not None and found:
        usd = found[0].part_usd or Decimal(0)
    return Trace(
        title, usd, goes_up, splits, totals.split_count, totals.splits_usd, totals.share, found, totals.line_count
    )


def _rows(marts: Marts, query: str, parameters: Sequence[Any]) -> list[tuple[Any, ...]]:
    return marts.fetch_table(query, parameters)[1]
