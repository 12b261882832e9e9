"""One small day through everything: files in the real formats to published marts, against numbers worked by hand."""

import csv
import subprocess
import sys
from decimal import Decimal

import duckdb
import pytest

from delivery.marts import open_marts
from delivery.trace import Trace, TraceError, trace
from tests.golden.conftest import DAY

pytestmark = pytest.mark.slow


def as_text(value: object) -> str:
    """A cell as the expected files write it: plain decimals, empty for null."""
    if value is None:
        return ""
    return f"{value:f}" if isinstance(value, Decimal) else str(value)


@pytest.mark.parametrize("expected", sorted((DAY / "expected").glob("*.csv")), ids=lambda file: file.stem)
def test_a_mart_equals_the_day_worked_by_hand(golden_home, expected):
    with expected.open(newline="") as file:
        header, *rows = csv.reader(file)
    measures = ("billed_cost_usd", "effective_cost_usd", "list_cost_usd")
    selected = ", ".join(f"sum({name})" if name in measures and "cost_pool" in header else name for name in header)
    grouping = " group by team_id, cost_pool" if "cost_pool" in header else ""
    with duckdb.connect(str(golden_home / "published" / "marts.duckdb"), read_only=True) as connection:
        found = connection.execute(f"select {selected} from {expected.stem}{grouping}").fetchall()
    assert sorted([[as_text(value) for value in row] for row in found]) == sorted(rows)


def test_the_cut_off_line_is_in_quarantine_by_file_and_line(golden_home):
    with duckdb.connect(str(golden_home / "warehouse.duckdb"), read_only=True) as connection:
        found = connection.execute("select source_name, scope, position from raw.quarantine").fetchall()
        landed = connection.execute(
            "select rows_read, rows_landed, rows_quarantined from raw.deliveries where source_name = 'gateway'"
        ).fetchall()
    assert found == [("gateway", "row", 4)]
    assert landed == [(4, 3, 1)]


def split_rows(traced: Trace) -> list[tuple[str, str, Decimal | None, Decimal | None]]:
    return [
        (split.team_id, split.allocation_step, split.share_of_charge, traced.part_usd(split)) for split in traced.splits
    ]


def test_a_line_of_a_bill_is_walked_up_to_all_it_paid_for(golden_home):
    # Both hours of the node are one charge of 12: 6 held by research, 5 idle, 1 held by vision; the line is half of it.
    with open_marts(golden_home / "published") as marts:
        traced = trace(marts, "aws/2026-10.csv:2")
    assert split_rows(traced) == [
        ("research", "held", Decimal("0.5"), Decimal(3)),
        ("unallocated", "idle", Decimal("0.416666667"), Decimal("2.500000002")),
        ("vision", "held", Decimal("0.083333333"), Decimal("0.499999998")),
    ]
    assert traced.share == 1
    assert sum(traced.part_usd(split) or 0 for split in traced.splits) == traced.effective_cost_usd == 6
    assert [(line.object_position, line.part_usd) for line in traced.lines] == [(2, Decimal(6))]


def test_a_line_of_a_statement_is_walked_down_to_the_lines_of_the_bills(golden_home):
    with open_marts(golden_home / "published") as marts:
        lines = marts.fetch_table(
            "select line_number, effective_cost_usd from fct_statement_lines where team_id = 'vision' order by 1"
        )[1]
        traced = {number: trace(marts, f"vision/2026-10/{number}") for number, _ in lines}
    assert {number: walked.effective_cost_usd for number, walked in traced.items()} == dict(lines)
    node, tax, tokens = sorted(traced.values(), key=lambda walked: -walked.effective_cost_usd)
    assert [(line.object_position, line.share, line.part_usd) for line in node.lines] == [
        (2, Decimal("0.083333333"), Decimal("0.499999998")),
        (3, Decimal("0.083333333"), Decimal("0.499999998")),
    ]
    # The tax of the account, by what its other lines came to.
    assert [(line.object_position, line.part_usd) for line in tax.lines] == [(7, Decimal("0.067073171"))]
    # 17 of 52 parts of 0.0104.
    assert [(line.provider_name, line.part_usd) for line in tokens.lines] == [("OpenAI", Decimal("0.0034"))]
    assert tokens.splits[0].price_set_id is not None
    assert node.splits[0].owner_rule_id == "r2"


def test_ids_lead_up_and_down_and_what_does_not_exist_is_said(golden_home):
    with open_marts(golden_home / "published") as marts:
        ((row_id, charge_key),) = marts.fetch_table(
            "select ledger_row_id, charge_key from fct_cost_ledger"
            " where team_id = 'vision' and cost_pool = 'cluster_nodes'"
        )[1]
        assert trace(marts, row_id).effective_cost_usd == Decimal(1)
        charge = trace(marts, charge_key)
        assert (charge.effective_cost_usd, charge.line_count, charge.share) == (12, 2, 1)
        (line_id,) = (line.invoice_line_id for line in charge.lines if line.object_position == 3)
        assert trace(marts, line_id).effective_cost_usd == 6
        for reference, said in {
            "nonsense": "expected a ledger row id",
            "0" * 32: "no ledger row, charge group or invoice line",
            "vision/2026-10/9": "it has lines 1 to 3",
            "nobody/2026-10/1": "no statement for that month",
            "aws/2026-10.csv:999": "no invoice line of the published marts stands there",
            "2026-10.csv:2": "several files end so",
        }.items():
            with pytest.raises(TraceError, match=said):
                trace(marts, reference)


def test_the_command_prints_shares_that_add_up(golden_home):
    run = subprocess.run(
        [sys.executable, "-m", "orchestration.cli", "trace", "aws/2026-10.csv:2", "--home", str(golden_home)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    assert "| research    | held | opencost_node_hour_share | owner rule r1 | 2026-10 |     50.0000000% |" in run.stdout
    assert "| 100.0000000% | $6.000000000 |" in " ".join(run.stdout.split())
