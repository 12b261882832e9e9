"""A bill whose currency has no rate is held back whole, told, and admitted when the rate arrives (law 5)."""

import re
from decimal import Decimal

import duckdb
import pytest

from ingest.home import Home
from tests.orchestration.commands import run_wattledger


def read_billed_usd(home: Home, provider: str) -> Decimal:
    with duckdb.connect(str(home.published_dir / "marts.duckdb"), read_only=True) as connection:
        query = "select coalesce(sum(billed_cost_usd), 0) from fct_cost_ledger where provider_name = ?"
        (billed,) = connection.execute(query, [provider]).fetchall()[0]
        return billed


@pytest.mark.long
def test_a_bill_without_a_rate_is_told_and_admitted_when_the_rate_arrives(built_home: Home):
    rates = built_home.config_dir / "fx_rates.csv"
    known = rates.read_text()
    before = read_billed_usd(built_home, "Microsoft")
    assert before > 0

    rates.write_text("\n".join(line for line in known.splitlines() if not line.startswith("EUR")) + "\n")
    without = run_wattledger("run", home=built_home)
    assert without.returncode == 0, without.stdout + without.stderr
    assert re.search(
        r"held back Microsoft \S+ 2026-10: [\d,.]+ EUR, in no total: add a EUR to USD rate", without.stdout
    )
    assert read_billed_usd(built_home, "Microsoft") == 0

    rates.write_text(known)
    with_rate = run_wattledger("run", home=built_home)
    assert "held back" not in with_rate.stdout
    assert read_billed_usd(built_home, "Microsoft") == before
