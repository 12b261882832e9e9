"""A month is closed, corrected, lost with its warehouse, and reopened, by the commands a finance person types."""

import shutil
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest

from ingest.books import BooksError, list_closes, verify_close
from ingest.home import Home, create_home
from tests.orchestration.commands import read_published, run_wattledger

pytestmark = [pytest.mark.slow, pytest.mark.long]

HEADER = (
    "ProviderName,BillingAccountId,BillingCurrency,BillingPeriodStart,ChargePeriodStart,ChargePeriodEnd,"
    "ChargeCategory,ServiceName,InvoiceId,Tags,BilledCost,EffectiveCost\n"
)


def bill_line(day: str, team: str, usd: str) -> str:
    tags = f'"{{""team"":""{team}""}}"'
    return f"AWS,111,USD,{day[:7]}-01,{day}T00:00:00Z,{day}T01:00:00Z,Usage,EC2,INV-{day[:7]},{tags},{usd},{usd}\n"


def write_bill(home: Home, month: str, *lines: str) -> None:
    (home.path / "bills" / f"{month}.csv").write_text(HEADER + "".join(lines))


SEPTEMBER = (bill_line("2026-09-03", "ml", "10.005"), bill_line("2026-09-30", "web", "20.004"))


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """September and the first of October, built."""
    home = create_home(tmp_path_factory.mktemp("closing") / "home")
    home.sources_path.write_text('sources:\n  - {name: bills, kind: focus, location: "bills/*.csv"}\n')
    rules = [f"{team},tag,team,{team},{team},1,,\n" for team in ("ml", "web")]
    (home.config_dir / "owners.csv").write_text(
        "rule_id,match_on,match_key,match_value,team_id,priority,valid_from,valid_to\n" + "".join(rules)
    )
    (home.path / "bills").mkdir()
    write_bill(home, "2026-09", *SEPTEMBER)
    write_bill(home, "2026-10", bill_line("2026-10-01", "ml", "7"))
    built = run_wattledger("run", home=home)
    assert built.returncode == 0, built.stdout + built.stderr
    return home


def read_statements(home: Home, period: str) -> dict[tuple[str | None, str, str | None], Decimal]:
    with duckdb.connect(str(home.published_dir / "marts.duckdb"), read_only=True) as connection:
        rows = connection.execute(
            "select statement_number, team_id, posting_cause, sum(statement_usd) from fct_statement_lines "
            "where posting_period_start_date = ? group by all",
            [f"{period}-01"],
        ).fetchall()
    return {(number, team, cause): usd for number, team, cause, usd in rows}


CLOSED = {("2026-09/ml/1", "ml", None): Decimal("10.01"), ("2026-09/web/1", "web", None): Decimal("20.00")}


def test_a_month_closes_in_order_and_when_it_is_whole(home: Home) -> None:
    too_early = run_wattledger("close", "2026-10", home=home)
    assert too_early.returncode == 1
    assert "2026-09 is open, and periods close in order: `wattledger close 2026-09` first" in too_early.stderr

    nothing = run_wattledger("close", "2026-01", home=home)
    assert (nothing.returncode, nothing.stderr.strip()) == (
        1,
        "Error: Nothing is posted in 2026-01; periods with postings: 2026-09, 2026-10.",
    )
    assert run_wattledger("close", "September", home=home).returncode == 2

    closed = run_wattledger("close", "2026-09", home=home)
    assert closed.returncode == 0, closed.stdout + closed.stderr
    assert "2026-09/web/1" in closed.stdout
    assert read_statements(home, "2026-09") == CLOSED

    running = run_wattledger("close", "2026-10", home=home)
    assert running.returncode == 1
    assert "running: days of it are still missing from the sources" in running.stderr


def test_the_statement_and_the_journal_leave_the_house(home: Home, tmp_path: Path) -> None:
    shown = run_wattledger("statement", "--period", "2026-09", "--team", "ml", home=home)
    assert shown.returncode == 0, shown.stderr
    for text in ("2026-09/ml/1", "Showback: for information", "$10.01", "100.0% of the month's USD has a team"):
        assert text in shown.stdout
    assert "DRAFT" not in shown.stdout

    outbox = home.outbox_dir / "statements" / "2026-09"
    assert run_wattledger("statement", "--period", "2026-09", "--format", "html", home=home).returncode == 0
    assert run_wattledger("statement", "--period", "2026-09", "--journal", home=home).returncode == 0
    assert sorted(file.name for file in outbox.iterdir()) == [
        "journal-2026-09.csv",
        "statement-1-ml.html",
        "statement-1-web.html",
    ]

    draft = run_wattledger("statement", "--period", "2026-10", "--format", "csv", "--out", str(tmp_path), home=home)
    assert draft.returncode == 0, draft.stderr
    assert "DRAFT, period open" in draft.stdout
    assert [file.name for file in tmp_path.iterdir()] == ["DRAFT-statement-ml.csv"]


def test_a_statement_that_cannot_be_says_which_can(home: Home) -> None:
    nobody = run_wattledger("statement", "--period", "2026-09", "--team", "wbe", home=home)
    assert (nobody.returncode, "did you mean 'web'?" in nobody.stderr) == (1, True)
    never = run_wattledger("statement", "--period", "2020-01", home=home)
    assert (never.returncode, "months with statements: 2026-09, 2026-10." in never.stderr) == (1, True)
    for wrong in (["--journal", "--team", "ml"], ["--out", "x"]):
        assert run_wattledger("statement", "--period", "2026-09", *wrong, home=home).returncode == 2


def test_a_book_that_was_tampered_with_is_told(home: Home, tmp_path: Path) -> None:
    (close,) = list_closes(home)
    verify_close(home, close)
    copy = Home(tmp_path / "home")
    shutil.copytree(home.books_dir, copy.books_dir)
    (file,) = (copy.books_dir / "closed_statement_lines").glob("*.parquet")
    rewrite(file)
    assert "2026-09 is closed with 2 statements, as booked" in run_wattledger("doctor", home=home).stdout
    with pytest.raises(BooksError, match=r"expected fingerprint \w+, found \w+.*restore the books from a backup"):
        verify_close(copy, close)


def test_a_late_line_is_a_correction_and_the_statement_stays(home: Home) -> None:
    write_bill(home, "2026-09", *SEPTEMBER, bill_line("2026-09-29", "ml", "5"))
    late = run_wattledger("run", home=home)
    assert late.returncode == 0, late.stdout + late.stderr
    assert read_statements(home, "2026-09") == CLOSED
    assert read_statements(home, "2026-10") == {(None, "ml", None): Decimal(7), (None, "ml", "late"): Decimal(5)}


def test_the_accounting_page_tells_this_story(home: Home) -> None:
    page = (Path(__file__).resolve().parents[2] / "docs" / "accounting.md").read_text()
    for period in ("2026-09", "2026-10"):
        for (_, team, cause), usd in read_statements(home, period).items():
            what = f"correction, {cause}" if cause else "charges"
            assert f"| {period} | {team} | {what} | {usd:.2f} |" in page


def test_a_lost_warehouse_comes_back_from_lake_and_books(home: Home) -> None:
    before = read_published(home)
    home.warehouse_path.unlink()
    again = run_wattledger("run", home=home)
    assert again.returncode == 0, again.stdout + again.stderr
    assert read_published(home) == before


def test_a_reopened_month_is_drawn_up_anew_and_its_old_statement_kept(home: Home) -> None:
    (close,) = list_closes(home)
    verify_close(home, close)
    assert (
        run_wattledger("reopen", "2026-10", "--reason", "x", home=home).stderr.strip().endswith("closed are: 2026-09.")
    )

    reopened = run_wattledger("reopen", "2026-09", "--reason", "a bill came late", home=home)
    assert reopened.returncode == 0, reopened.stdout + reopened.stderr
    assert list_closes(home) == []
    assert read_statements(home, "2026-09") == {(None, "ml", None): Decimal("15.01"), (None, "web", None): Decimal(20)}
    with duckdb.connect(str(home.published_dir / "marts.duckdb"), read_only=True) as connection:
        restated = connection.execute(
            "select statement_number, restatement_cause, delta_cost_usd from fct_restatements"
        ).fetchall()
    assert restated == [("2026-09/ml/1", "reopened", Decimal(5))]


def rewrite(file: Path) -> None:
    """Add a cent to every line of a book's file."""
    with duckdb.connect() as connection:
        connection.execute(
            "create table lines as select * replace (statement_usd + 0.01 as statement_usd) from read_parquet(?)",
            [str(file)],
        )
        connection.execute(f"copy lines to '{file}' (format parquet)")
