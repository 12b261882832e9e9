"""Statements for a person: as tables on the console, or as files whose paths are named."""

from datetime import date
from decimal import Decimal
from pathlib import Path

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from delivery import formats
from delivery.marts import open_marts
from delivery.statement import Month, Statement, read_journal, read_month, read_statements
from delivery.statement_files import STEP_NAMES, describe_cover, describe_mode, write_journal, write_statements
from ingest.home import Home


def deliver_statements(
    console: Console, home: Home, period: date, team_id: str | None, file_format: str, out: Path | None
) -> None:
    """Print the statements of `period`, or write them as `csv` or `html`. Raises `StatementError`, `MartsError`."""
    with open_marts(home.published_dir) as marts:
        month = read_month(marts, period)
        statements = read_statements(marts, month, team_id)
    _say_draft(console, month)
    if file_format == "table":
        for statement in statements:
            _print_statement(console, month, statement)
        _print_bridge(console, month)
        return
    for path in write_statements(out or _folder(home, period), month, statements, file_format):
        console.print(escape(str(path)), soft_wrap=True)
    console.print(f"{len(statements)} statements, {formats.format_usd(_total(statements))}; {describe_cover(month)}.")


def deliver_journal(console: Console, home: Home, period: date, out: Path | None) -> None:
    """Write the journal of `period` for an ERP. Raises `StatementError`, `MartsError`."""
    with open_marts(home.published_dir) as marts:
        month = read_month(marts, period)
        journal = read_journal(marts, month)
    _say_draft(console, month)
    path = write_journal(out or _folder(home, period), month, journal)
    console.print(escape(str(path)), soft_wrap=True)
    debit = sum((line.debit_usd for line in journal), Decimal(0))
    credit = sum((line.credit_usd for line in journal), Decimal(0))
    console.print(
        f"{len(journal)} lines, debit {formats.format_usd(debit)}, credit {formats.format_usd(credit)}.",
    )
    nameless = sum(line.account_code is None for line in journal)
    if nameless:
        console.print(f"[yellow]{nameless} lines have no account[/]: name it in config/gl_accounts.csv.")


def _folder(home: Home, period: date) -> Path:
    return home.outbox_dir / "statements" / f"{period:%Y-%m}"


def _total(statements: list[Statement]) -> Decimal:
    return sum((statement.team.statement_usd for statement in statements), Decimal(0))


def _say_draft(console: Console, month: Month) -> None:
    if month.period.is_draft:
        console.print(
            f"[yellow]{month.period.draft_label}[/]: figures still move until "
            f"`wattledger close {month.period.period_start_date:%Y-%m}`."
        )


def _print_statement(console: Console, month: Month, statement: Statement) -> None:
    team = statement.team
    title = f"\n[bold]{escape(team.team_name)}[/]  {escape(month.label(team))}  {escape(describe_mode(statement))}"
    console.print(title, soft_wrap=True)
    table = Table(box=box.SIMPLE_HEAD, show_footer=True, pad_edge=False)
    table.add_column("#", justify="right")
    table.add_column("charge", footer="total")
    table.add_column("provider")
    table.add_column("month")
    table.add_column("correction")
    table.add_column("cost centre")
    table.add_column("estimated", justify="right", footer=formats.format_share(team.estimate_share))
    table.add_column("USD", justify="right", footer=formats.format_usd(team.statement_usd))
    for line in statement.lines:
        table.add_row(
            str(line.line_number),
            escape(formats.name_pool(line.cost_pool)),
            escape(line.provider_name),
            f"{line.billing_period_start_date:%Y-%m}",
            formats.name_cause(line.posting_cause) if line.posting_cause else "",
            escape(line.cost_center_id or ""),
            formats.format_usd(line.estimated_cost_usd) if line.estimated_cost_usd else "",
            formats.format_usd(line.statement_usd),
        )
    console.print(table)
    for row in statement.restatements:
        console.print(
            f"Changed since {escape(row.statement_number or 'no statement')}: "
            f"{formats.format_change_usd(row.delta_cost_usd)}, {formats.name_cause(row.restatement_cause)}, "
            f"posted in {row.posting_period_start_date:%Y-%m}{', material' if row.is_material else ''}",
            soft_wrap=True,
        )


def _print_bridge(console: Console, month: Month) -> None:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("all teams: from charged to billed")
    table.add_column("charged", justify="right")
    table.add_column("to billed", justify="right")
    for step in month.bridge:
        charged = "" if step.charged_cost_usd is None else formats.format_usd(step.charged_cost_usd)
        table.add_row(STEP_NAMES[step.step], charged, formats.format_usd(step.step_cost_usd))
    if month.off_bill_cost_usd:
        table.add_row("On no bill of this month", formats.format_usd(month.off_bill_cost_usd), "")
    table.add_row("[bold]All statements of the month[/]", formats.format_usd(month.effective_cost_usd), "")
    console.print()
    console.print(table)
    for invoice in month.unrated_invoices:
        console.print(
            f"[yellow]held back[/] {escape(invoice.provider_name)} {escape(invoice.invoice_id or 'not invoiced')}: "
            f"{formats.format_number(invoice.payable_cost_local, 2)} {escape(invoice.currency_code or '')}, no rate",
            soft_wrap=True,
        )
    console.print(f"{describe_cover(month)}.")
    if month.period.close_fingerprint:
        console.print(f"Fingerprint {month.period.close_fingerprint}")
