"""Statements: hand-worked cents, drafts that say so everywhere, hostile text that stays text, paths that stay inside.

February 2026 is closed (revision 2), March runs. In February research is charged back 100.33 for nodes and -5.10 of
credits, and 2.50 of January that came late: 97.73. Chat is shown 33.33, of which 10.00 is estimated, and nobody held
20.00. So 131.06 of 151.06 has a team. The bridge: 148.56 on February's bills, 1,200.00 bought, 100.00 of it used.
"""

import csv
import io
from collections.abc import Callable, Iterator
from datetime import date
from decimal import Decimal as D
from pathlib import Path

import duckdb
import pytest

from delivery.marts import Marts, MartsError, open_marts
from delivery.publish import publish
from delivery.statement import Statement, StatementError, read_journal, read_month, read_statements
from delivery.statement_files import render_csv, render_html, write_journal, write_statements
from tests.delivery.test_report import parse

FEBRUARY, MARCH = date(2026, 2, 1), date(2026, 3, 1)
HOSTILE = "=cmd|'<script>alert(1)</script>"

TABLES = f"""
create or replace table marts.dim_billing_periods as
select * from (values
    (date '2026-02-01', 'closed', null, 2::bigint, timestamp '2026-03-05 09:00', 'accrued', 'f00dbeef'),
    (date '2026-03-01', 'open', 'running', null, null, null, null),
    (date '2026-04-01', 'open', 'running', null, null, null, null)
) as rows (
    period_start_date, period_status, close_blockers, revision, closed_at, accepted_blockers, close_fingerprint
);
create table marts.fct_statement_lines as
select
    * replace (
        estimated_cost_usd::decimal(38, 9) as estimated_cost_usd, statement_usd::decimal(18, 2) as statement_usd
    ),
    statement_usd::decimal(38, 9) as effective_cost_usd
from (values
    ('2026-02/research/2', date '2026-02-01', 'research', 1, 'charge', date '2026-02-01', null, 'AWS',
        'cluster_nodes', 'cc-research', 'chargeback', 0, 100.33),
    ('2026-02/research/2', '2026-02-01', 'research', 2, 'charge', '2026-02-01', null, 'AWS', 'credit', 'cc-research',
        'chargeback', 0, -5.10),
    ('2026-02/research/2', '2026-02-01', 'research', 3, 'correction', '2026-01-01', 'late', 'AWS', 'cluster_nodes',
        'cc-research', 'chargeback', 0, 2.50),
    ('2026-02/chat/2', '2026-02-01', 'chat', 1, 'charge', '2026-02-01', null, 'AWS', 'llm_api', 'cc-chat', 'showback',
        10, 33.33),
    ('2026-02/unallocated/2', '2026-02-01', 'unallocated', 1, 'charge', '2026-02-01', null, 'AWS', 'cluster_nodes',
        null, 'showback', 0, 20),
    (null, '2026-03-01', 'research', 1, 'charge', '2026-03-01', null, $${HOSTILE}$$, 'cluster_nodes',
        '+cc', 'showback', 0, 7),
    (null, '2026-03-01', '../../{HOSTILE.replace("'", "''")}', 1, 'charge', '2026-03-01', null, 'AWS',
        'cluster_nodes', null, 'showback', 0, 1)
) as rows (
    statement_number, posting_period_start_date, team_id, line_number, line_kind, billing_period_start_date,
    posting_cause, provider_name, cost_pool, cost_center_id, charge_mode, estimated_cost_usd, statement_usd
);
create table marts.fct_restatements as
select * from (values
    ('2026-02/research/1', date '2026-02-01', 'research', date '2026-02-01', 'reopened', -3::decimal(38, 9), true),
    ('2026-02/research/2', '2026-02-01', 'research', '2026-03-01', 'fx', 1.2, false)
) as rows (
    statement_number, statement_period_start_date, team_id, posting_period_start_date, restatement_cause,
    delta_cost_usd, is_material
);
create table marts.fct_invoice_bridge as
select * replace (
    charged_cost_usd::decimal(38, 9) as charged_cost_usd, step_cost_usd::decimal(38, 9) as step_cost_usd,
    payable_cost_local::decimal(38, 18) as payable_cost_local
)
from (values
    (date '2026-02-01', 'AWS', 'a', 'i-1', 'USD', 1, 'charged', 153.66, 153.66, null),
    ('2026-02-01', 'AWS', 'a', 'i-1', 'USD', 2, 'commitments_bought', 0, 1200, null),
    ('2026-02-01', 'AWS', 'a', 'i-1', 'USD', 3, 'commitments_amortised', 0, -100, null),
    ('2026-02-01', 'AWS', 'a', 'i-1', 'USD', 5, 'credits', -5.10, -5.10, null),
    ('2026-02-01', 'AWS', 'a', 'i-1', 'USD', 8, 'billed', 148.56, 1248.56, null),
    ('2026-02-01', 'AWS', 'a', 'i-1', 'USD', 9, 'payable', null, 1248.56, 1248.56),
    ('2026-02-01', 'Tokyo', 'b', 'j-1', 'JPY', 9, 'payable', null, null, 5000)
) as rows (
    billing_period_start_date, provider_name, billing_account_id, invoice_id, currency_code, step_number, step,
    charged_cost_usd, step_cost_usd, payable_cost_local
);
create table marts.fct_gl_journal as
select * replace (debit_usd::decimal(18, 2) as debit_usd, credit_usd::decimal(18, 2) as credit_usd)
from (values
    (date '2026-02-01', 1, '6100', 'AI cost', 'research', 'cc-research', null, 97.73, 0, 'Chargeback research'),
    ('2026-02-01', 2, null, null, 'chat', 'cc-chat', null, 33.33, 0, '=Kept by the platform chat'),
    ('2026-02-01', 3, '6900', 'Platform', 'unallocated', null, null, 20, 0, 'Kept by the platform unallocated'),
    ('2026-02-01', 4, '2100', 'Clearing', null, null, 'AWS', 0, 151.06, 'Clearing AWS')
) as rows (
    posting_period_start_date, line_number, account_code, account_name, team_id, cost_center_id, provider_name,
    debit_usd, credit_usd, description
);
"""


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory, write_warehouse: Callable[..., None]) -> Path:
    """The marts of February and March, published as build b1."""
    folder = tmp_path_factory.mktemp("statements")
    write_warehouse(folder / "warehouse.duckdb")
    with duckdb.connect(str(folder / "warehouse.duckdb")) as connection:
        connection.execute(TABLES)
    publish(folder / "warehouse.duckdb", folder / "published", build_id="b1", data_through={})
    return folder / "published"


@pytest.fixture
def marts(published: Path) -> Iterator[Marts]:
    with open_marts(published) as opened:
        yield opened


def read_statement(marts: Marts, period: date, team_id: str) -> Statement:
    (statement,) = read_statements(marts, read_month(marts, period), team_id)
    return statement


def test_a_statement_is_the_hand_worked_cents(marts: Marts):
    research = read_statement(marts, FEBRUARY, "research")
    assert research.team.statement_number == "2026-02/research/2"
    assert research.team.statement_usd == D("97.73") == sum(line.statement_usd for line in research.lines)
    assert [line.statement_usd for line in research.charges] == [D("100.33"), D("-5.10")]
    (correction,) = research.corrections
    assert (correction.posting_cause, correction.billing_period_start_date) == ("late", date(2026, 1, 1))
    assert research.cost_centers == ["cc-research"]
    assert [(row.restatement_cause, row.delta_cost_usd) for row in research.restatements] == [
        ("reopened", D(-3)),
        ("fx", D("1.2")),
    ]


def test_a_month_says_its_coverage_its_estimates_and_what_is_on_no_bill(marts: Marts):
    month = read_month(marts, FEBRUARY)
    assert month.statement_usd == D("151.06")
    assert month.coverage_share == D("131.06") / D("151.06")
    assert month.estimate_share == D(10) / D("151.06")
    # 151.06 on statements, 148.56 of it on February's bills: the correction of January is 2.50.
    assert month.off_bill_cost_usd == D("2.50")
    assert [(row.invoice_id, row.payable_cost_local) for row in month.unrated_invoices] == [("j-1", D(5000))]
    assert [team.team_id for team in month.teams] == ["chat", "research", "unallocated"]


def test_the_page_says_number_mode_corrections_bridge_and_fingerprint(marts: Marts, tmp_path: Path):
    month = read_month(marts, FEBRUARY)
    (path,) = write_statements(tmp_path, month, read_statements(marts, month, "research"), "html")
    assert path.name == "statement-2-research.html"
    said = " ".join(parse(path).words)
    for text in (
        "2026-02/research/2",
        "Chargeback: booked to cost centre cc-research",
        "$97.73",
        "Corrections of earlier months",
        "Charges that came late of January 2026",
        "Exchange rate March 2026 2026-02/research/2 +$1.20",
        "86.8% of the month's USD",
        "Commitments bought: billed now, charged as they are used $0.00 $1,200.00",
        "Billed by the providers $148.56 $1,248.56",
        "corrections of other months, accruals, entries $2.50",
        "All statements of the month $151.06",
        "Tokyo, j-1, 5,000.00 JPY",
        "f00dbeef",
        "accepting: accrued",
    ):
        assert text in said, text
    assert "DRAFT" not in path.read_text()


def test_showback_says_that_nothing_is_booked(marts: Marts):
    month = read_month(marts, FEBRUARY)
    chat, nobody = (read_statement(marts, FEBRUARY, team_id) for team_id in ("chat", "unallocated"))
    assert "nothing is booked to the team" in render_html(month, chat)
    assert "Caused, not charged" in render_html(month, chat)
    assert "stays with the platform" in render_html(month, nobody)


def test_an_open_month_is_a_draft_wherever_it_goes(marts: Marts, tmp_path: Path):
    month = read_month(marts, MARCH)
    statement = read_statement(marts, MARCH, "research")
    html = render_html(month, statement)
    assert "<title>DRAFT Statement" in html
    assert html.count("DRAFT, period open") == 2
    assert "In the way: running" in html
    rows = list(csv.DictReader(io.StringIO(render_csv(month, statement), newline="")))
    assert {(row["statement_number"], row["period_status"]) for row in rows} == {("DRAFT, period open", "open")}
    files = write_statements(tmp_path, month, read_statements(marts, month), "csv")
    files.append(write_journal(tmp_path, month, read_journal(marts, month)))
    assert all(file.name.startswith("DRAFT-") for file in files)


def test_hostile_text_stays_text_and_files_stay_inside(marts: Marts, tmp_path: Path):
    month = read_month(marts, MARCH)
    statements = read_statements(marts, month)
    pages = write_statements(tmp_path / "out", month, statements, "html")
    for page in pages:
        parsed = parse(page)
        assert "script" not in parsed.tags
        assert parsed.links == []
    files = [*pages, *write_statements(tmp_path / "out", month, statements, "csv")]
    assert {file.parent for file in files} == {tmp_path / "out"}
    assert {file for file in tmp_path.rglob("*") if file.is_file()} == set(files)
    research = next(statement for statement in statements if statement.team.team_id == "research")
    (row,) = csv.DictReader(io.StringIO(render_csv(month, research), newline=""))
    assert (row["provider_name"], row["cost_center_id"]) == (f"'{HOSTILE}", "'+cc")


def test_csv_lines_add_up_to_the_statement(marts: Marts):
    month = read_month(marts, FEBRUARY)
    rows = list(csv.DictReader(io.StringIO(render_csv(month, read_statement(marts, FEBRUARY, "research")), newline="")))
    assert sum(D(row["statement_usd"]) for row in rows) == D("97.73")
    assert [row["charge_month"] for row in rows] == ["2026-02", "2026-02", "2026-01"]
    assert [row["posting_cause"] for row in rows] == ["", "", "late"]


def test_the_journal_balances_and_names_its_revision(marts: Marts, tmp_path: Path):
    month = read_month(marts, FEBRUARY)
    path = write_journal(tmp_path, month, read_journal(marts, month))
    assert path.name == "journal-2026-02-revision-2.csv"
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert sum(D(row["debit_usd"]) for row in rows) == sum(D(row["credit_usd"]) for row in rows) == D("151.06")
    assert [(row["account"], row["cost_center"]) for row in rows[:2]] == [("6100", "cc-research"), ("", "cc-chat")]
    assert rows[1]["text"] == "'=Kept by the platform chat"


def test_an_unknown_team_is_told_the_nearest_and_a_month_without_postings_the_others(marts: Marts, tmp_path: Path):
    month = read_month(marts, FEBRUARY)
    with pytest.raises(StatementError, match=r"did you mean 'research'.*chat, research, unallocated"):
        read_statements(marts, month, "Reserch")
    with pytest.raises(StatementError, match=r"^Team 'zzz' has no statement for 2026-02; Teams that have"):
        read_statements(marts, month, "zzz")
    with pytest.raises(StatementError, match="Nothing is posted in 2026-04; months with statements: 2026-02, 2026-03"):
        read_month(marts, date(2026, 4, 1))
    with pytest.raises(MartsError, match="nothing is published yet"), open_marts(tmp_path):
        pass
