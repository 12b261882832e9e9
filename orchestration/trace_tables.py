"""A trace as tables on the console: the splits and the invoice lines, each adding up to what was asked for."""

from decimal import Decimal

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from delivery.formats import MISSING, format_share, format_usd
from delivery.trace import InvoiceLine, Split, Trace


def print_trace(console: Console, trace: Trace) -> None:
    """Splits first where it goes up, as they are what was paid for; invoice lines last where it goes down."""
    console.print(f"{escape(trace.title)}: [bold]{format_usd(trace.effective_cost_usd, 9)}[/]", soft_wrap=True)
    console.print(_list_splits(trace))
    if trace.lines:
        console.print(_list_lines(trace))
    else:
        console.print("No delivered line stands behind it: an entry of our own, such as rounding or an adjustment.")


def _list_splits(trace: Trace) -> Table:
    title = "All that it paid for" if trace.goes_up else "The splits it came by"
    table = _make_table(title, "team", "step", "method", "made by", "posted", "share of charge", "USD")
    listed = Decimal(0)
    for split in trace.splits:
        part = trace.part_usd(split)
        listed += part or Decimal(0)
        table.add_row(
            escape(f"{split.from_team_id} → {split.team_id}" if split.from_team_id else split.team_id),
            split.allocation_step,
            split.allocation_method + (" (estimate)" if split.is_estimate else ""),
            escape(_name_makers(split)),
            f"{split.posting_period_start_date:%Y-%m}",
            format_share(split.share_of_charge, 7),
            format_usd(part, 9),
        )
    _add_rest(table, trace.split_count - len(trace.splits), "splits", trace.effective_cost_usd - listed)
    whole = format_share(trace.share, 7) if trace.goes_up else ""
    _add_total(table, whole, trace.effective_cost_usd)
    return table


def _name_makers(split: Split) -> str:
    named = {"policy": split.policy_id, "owner rule": split.owner_rule_id, "prices": split.price_set_id}
    return ", ".join(f"{what} {name}" for what, name in named.items() if name) or MISSING


def _list_lines(trace: Trace) -> Table:
    title = "The line" if trace.goes_up else "The invoice lines it comes from"
    table = _make_table(title, "line", "invoice", "account", "what", "line USD", "share traced", "USD")
    listed = Decimal(0)
    for line in trace.lines:
        listed += line.part_usd or Decimal(0)
        table.add_row(
            escape(f"{line.object_uri}:{line.object_position}"),
            escape(line.invoice_id or MISSING),
            escape(f"{line.provider_name} {line.billing_account_id} {line.billing_period_start_date:%Y-%m}"),
            escape(_describe(line)),
            format_usd(line.effective_cost_usd, 9),
            format_share(line.share, 7),
            format_usd(line.part_usd, 9),
        )
    _add_rest(table, trace.line_count - len(trace.lines), "lines", trace.effective_cost_usd - listed)
    _add_total(table, "", trace.effective_cost_usd)
    return table


def _describe(line: InvoiceLine) -> str:
    return " · ".join(part for part in (line.service_name, line.resource_id, line.charge_description) if part)


def _make_table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left", box=box.ASCII)
    for column in columns:
        table.add_column(column, justify="right" if "USD" in column or "share" in column else "left", overflow="fold")
    return table


def _add_rest(table: Table, count: int, what: str, rest_usd: Decimal) -> None:
    if count:
        table.add_row(f"and {count:,} more {what}", *[""] * (len(table.columns) - 2), format_usd(rest_usd, 9))


def _add_total(table: Table, whole: str, total_usd: Decimal) -> None:
    table.add_section()
    table.add_row("total", *[""] * (len(table.columns) - 3), whole, format_usd(total_usd, 9))
