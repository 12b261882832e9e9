"""Statements and the journal as files: CSV for a spreadsheet or an ERP, one page of HTML to read and to print.

A file of a draft is called DRAFT-…; a final one carries its revision, so that none takes the place of what was sent.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from delivery import formats
from delivery.csv_text import write_csv
from delivery.file_names import make_file_stem
from delivery.statement import DRAFT, JournalLine, Month, Statement
from delivery.templating import open_templates

STEP_NAMES: Final = {
    "charged": "Use and purchases, as charged",
    "commitments_bought": "Commitments bought: billed now, charged as they are used",
    "commitments_amortised": "Commitments used: charged now, billed when bought",
    "tax": "Tax",
    "credits": "Credits and adjustments",
    "fx": "Exchange rates that changed after the close",
    "rounding": "Rounding",
    "billed": "Billed by the providers",
    "payable": "Payable on their invoices",
}

_LINE_COLUMNS: Final = (
    "period",
    "statement_number",
    "period_status",
    "charge_mode",
    "team_id",
    "line_number",
    "line_kind",
    "charge_month",
    "posting_cause",
    "provider_name",
    "cost_pool",
    "cost_center_id",
    "estimated_cost_usd",
    "statement_usd",
)
_JOURNAL_COLUMNS: Final = (
    "period",
    "period_status",
    "line_number",
    "account",
    "account_name",
    "cost_center",
    "team_id",
    "provider_name",
    "debit_usd",
    "credit_usd",
    "text",
)


def render_csv(month: Month, statement: Statement) -> str:
    """The statement's lines, each with its number and whether it is final."""
    period = month.period
    rows: list[Sequence[Any]] = [
        (
            f"{period.period_start_date:%Y-%m}",
            month.label(statement.team),
            period.period_status,
            statement.team.charge_mode,
            statement.team.team_id,
            line.line_number,
            line.line_kind,
            f"{line.billing_period_start_date:%Y-%m}",
            line.posting_cause,
            line.provider_name,
            line.cost_pool,
            line.cost_center_id,
            line.estimated_cost_usd,
            line.statement_usd,
        )
        for line in statement.lines
    ]
    return write_csv(_LINE_COLUMNS, rows)


def render_journal_csv(month: Month, journal: Sequence[JournalLine]) -> str:
    """The journal as an ERP imports it; every line says whether the month is closed."""
    period = month.period
    rows: list[Sequence[Any]] = [
        (
            f"{period.period_start_date:%Y-%m}",
            period.period_status if not period.is_draft else period.draft_label,
            line.line_number,
            line.account_code,
            line.account_name,
            line.cost_center_id,
            line.team_id,
            line.provider_name,
            line.debit_usd,
            line.credit_usd,
            line.description,
        )
        for line in journal
    ]
    return write_csv(_JOURNAL_COLUMNS, rows)


def render_html(month: Month, statement: Statement) -> str:
    """One page that needs nothing else, for the screen and for A4."""
    template = open_templates().get_template("statement.html.j2")
    return template.render(
        month=month,
        period=month.period,
        statement=statement,
        team=statement.team,
        mode=describe_mode(statement),
        invoice_count=max((step.invoice_count for step in month.bridge), default=0),
        step_names=STEP_NAMES,
    )


def write_statements(folder: Path, month: Month, statements: Sequence[Statement], file_format: str) -> list[Path]:
    """Write each statement to `folder` as `csv` or `html`; a file is there whole or not at all."""
    render = {"csv": render_csv, "html": render_html}[file_format]
    # The revision stands before the name, since a team may be called anything, "research-2" too.
    prefix = f"{DRAFT}-statement" if month.period.is_draft else f"statement-{month.period.revision}"
    return [
        _write(
            folder / f"{prefix}-{make_file_stem(statement.team.team_id)}.{file_format}",
            render(month, statement),
        )
        for statement in statements
    ]


def write_journal(folder: Path, month: Month, journal: Sequence[JournalLine]) -> Path:
    """Write the journal to `folder`: journal-2026-10.csv, DRAFT-journal-… while the month is not closed."""
    period = month.period
    name = f"journal-{period.period_start_date:%Y-%m}"
    if period.is_draft:
        name = f"{DRAFT}-{name}"
    elif period.revision != 1:
        name = f"{name}-revision-{period.revision}"
    return _write(folder / f"{name}.csv", render_journal_csv(month, journal))


def describe_mode(statement: Statement) -> str:
    """What the charge mode means for whoever reads the statement."""
    if statement.team.charge_mode == "chargeback":
        centers = ", ".join(statement.cost_centers)
        return f"Chargeback: booked to cost centre {centers}" if centers else "Chargeback: booked to the team"
    if statement.team.is_named_owner:
        return "Showback: no team owns it, it stays with the platform"
    return "Showback: for information, nothing is booked to the team"


def describe_cover(month: Month) -> str:
    """How much of the month has a team, and how much rests on estimates."""
    return (
        f"{formats.format_share(month.coverage_share)} of the month's USD has a team, "
        f"{formats.format_share(month.estimate_share)} is estimated"
    )


def _write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.new")
    aside.write_bytes(text.encode())
    aside.replace(path)
    return path
