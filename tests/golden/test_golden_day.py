"""One small day through everything: files in the real formats to published marts, against numbers worked by hand."""

import csv
import shutil
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest

DAY = Path(__file__).parent / "2026-10-01"
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The golden home, run once."""
    folder = tmp_path_factory.mktemp("golden") / "home"
    shutil.copytree(DAY / "home", folder)
    run = subprocess.run(
        [sys.executable, "-m", "orchestration.cli", "run", "--home", str(folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    return folder


def as_text(value: object) -> str:
    """A cell as the expected files write it: plain decimals, empty for null."""
    if value is None:
        return ""
    return f"{value:f}" if isinstance(value, Decimal) else str(value)


@pytest.mark.parametrize("expected", sorted((DAY / "expected").glob("*.csv")), ids=lambda file: file.stem)
def test_a_mart_equals_the_day_worked_by_hand(home, expected):
    with expected.open(newline="") as file:
        header, *rows = csv.reader(file)
    measures = ("billed_cost_usd", "effective_cost_usd", "list_cost_usd")
    selected = ", ".join(f"sum({name})" if name in measures and "cost_pool" in header else name for name in header)
    grouping = " group by team_id, cost_pool" if "cost_pool" in header else ""
    with duckdb.connect(str(home / "published" / "marts.duckdb"), read_only=True) as connection:
        found = connection.execute(f"select {selected} from {expected.stem}{grouping}").fetchall()
    assert sorted([[as_text(value) for value in row] for row in found]) == sorted(rows)


def test_the_cut_off_line_is_in_quarantine_by_file_and_line(home):
    with duckdb.connect(str(home / "warehouse.duckdb"), read_only=True) as connection:
        found = connection.execute("select source_name, scope, position from raw.quarantine").fetchall()
        landed = connection.execute(
            "select rows_read, rows_landed, rows_quarantined from raw.deliveries where source_name = 'gateway'"
        ).fetchall()
    assert found == [("gateway", "row", 4)]
    assert landed == [(4, 3, 1)]
