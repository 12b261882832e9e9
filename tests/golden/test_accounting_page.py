"""The page that explains the books to a finance person says what the program makes of its files."""

import csv
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest

from tests.golden.conftest import DAY

pytestmark = pytest.mark.slow

PAGE = Path(__file__).resolve().parents[2] / "docs" / "accounting.md"
POOLS = {"machines": "cluster_nodes", "models": "llm_api", "tax": "tax", "unused": "unused_commitment"}


def read_table(first_header: str) -> list[dict[str, str]]:
    """The page's table whose first column is `first_header`, bold and empty cells as plain text."""
    lines = [[cell.strip(" *") for cell in line.strip("|\n").split("|")] for line in PAGE.read_text().split("\n")]
    start = next(number for number, cells in enumerate(lines) if cells[0] == first_header)
    rows = []
    for cells in lines[start + 2 :]:
        if len(cells) != len(lines[start]):
            break
        rows.append(dict(zip(lines[start], cells, strict=True)))
    return rows


def test_the_bill_is_what_the_files_say():
    billed, effective = Decimal(0), Decimal(0)
    for file in (DAY / "home" / "exports").rglob("*.csv"):
        with file.open(newline="") as lines:
            for line in csv.DictReader(lines):
                billed += Decimal(line["BilledCost"])
                effective += Decimal(line["EffectiveCost"])
    *lines, together = read_table("line")
    assert sum(Decimal(line["billed USD"]) for line in lines) == Decimal(together["billed USD"]) == billed
    assert sum(Decimal(line["effective USD"]) for line in lines) == Decimal(together["effective USD"]) == effective


def test_every_teams_row_is_the_ledgers(golden_home: Path):
    with duckdb.connect(str(golden_home / "published" / "marts.duckdb"), read_only=True) as connection:
        pools = connection.execute(
            "select team_id, cost_pool, sum(effective_cost_usd) from fct_cost_ledger group by all"
        ).fetchall()
        statements = dict(
            connection.execute("select team_id, sum(statement_usd) from fct_statement_lines group by all").fetchall()
        )
    named = {pool: name for name, pool in POOLS.items()}
    *teams, together = read_table("team")
    assert {row["team"] for row in teams} == set(statements)
    totals: dict[str, Decimal] = {}
    for row in teams:
        found: dict[str, Decimal] = {}
        for team, pool, usd in pools:
            if team == row["team"]:
                for name in (named.get(pool, "other services"), "effective USD"):
                    found[name] = found.get(name, Decimal(0)) + usd
        found["statement USD"] = statements[row["team"]]
        told = {name: Decimal(cell) for name, cell in row.items() if cell and name != "team"}
        assert told == found, row["team"]
        for name, usd in told.items():
            totals[name] = totals.get(name, Decimal(0)) + usd
    assert {name: Decimal(cell) for name, cell in together.items() if name != "team"} == totals
