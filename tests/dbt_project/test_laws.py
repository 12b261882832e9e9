"""Each law's test is green on a small ledger and turns red when the law is broken, by one nano-dollar where it can."""

import json
from collections.abc import Iterable
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest

from tests.dbt_project.small_warehouse import read_rows, run_dbt, touch_days, try_dbt, write_landing

pytestmark = pytest.mark.slow

PERIOD = date(2026, 10, 1)
LEDGER = (
    "+fct_reconciliation +fct_chargeback_daily +dim_teams +fct_unit_costs_daily +fct_statement_lines "
    "+fct_gl_journal +fct_allocation_edges +fct_invoice_lines +fct_invoice_bridge +fct_tag_gaps "
    "+fct_showback_daily"
)
"""What the law tests read."""


def charge(**columns: object) -> dict[str, object]:
    """One hourly USD usage line of account 111 at AWS, with what a test says otherwise."""
    return {
        "_source": "aws",
        "_object": "bill.csv",
        "provider_name": "AWS",
        "billing_account_id": "111",
        "billing_currency": "USD",
        "charge_category": "Usage",
        "service_name": "Amazon EC2",
        "charge_period_start": datetime(2026, 10, 1, 0),
        "charge_period_end": datetime(2026, 10, 1, 1),
        "billed_cost": Decimal("1"),
        "effective_cost": Decimal("1"),
        "list_cost": Decimal("2"),
        "billing_period_date": PERIOD,
    } | columns


def allocation(kind: str, pod: str | None, units: str) -> dict[str, object]:
    """What one holder took of node i-1 in the first hour."""
    return {
        "allocation_kind": kind,
        "cluster": "c1",
        "node": "n1",
        "provider_id": "i-1",
        "namespace": "ml" if pod else None,
        "pod": pod,
        "controller": pod,
        "labels": json.dumps({"team": "research"}) if pod == "train-0" else None,
        "window_start_at": datetime(2026, 10, 1, 0),
        "window_end_at": datetime(2026, 10, 1, 1),
        "started_at": datetime(2026, 10, 1, 0),
        "ended_at": datetime(2026, 10, 1, 1),
        "total_cost": Decimal(units),
        "usage_date": PERIOD,
    }


LANDED = {
    "focus_charges": [
        charge(resource_id="arn:aws:ec2:x:111:instance/i-1", billed_cost=Decimal("10.0000000004")),
        charge(resource_id="bucket", service_name="Amazon S3", billed_cost=Decimal("0.0000000004")),
        charge(resource_id="disk", service_name="Amazon EBS", tags=json.dumps({"team": "research"})),
        charge(charge_category="Tax", service_name="AWS", billed_cost=Decimal("-0.1"), list_cost=None),
        charge(billing_account_id="999", billing_currency="JPY", billed_cost=Decimal("5000")),
    ],
    "opencost_allocations": [
        allocation("workload", "train-0", "3.00001"),
        allocation("workload", "serve-0", "1.00001"),
        allocation("idle", None, "2.00001"),
    ],
    "config_owners": [
        {"rule_id": "r1", "match_on": "tag", "match_key": "team", "match_value": "research"}
        | {"team_id": "research", "priority": 1}
    ],
}


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A warehouse with a ledger, its tests green."""
    warehouse = tmp_path_factory.mktemp("laws") / "warehouse.duckdb"
    write_landing(warehouse, LANDED)
    touch_days(warehouse, [PERIOD])
    with duckdb.connect(str(warehouse)) as connection:
        connection.execute("insert into raw.touched_periods values (?)", [PERIOD])
    run_dbt(warehouse, "build", "--select", *LEDGER.split(), "--exclude-resource-type", "unit_test")
    return warehouse


def failing_tests(warehouse: Path, selection: Iterable[str]) -> set[str]:
    """Names of the selected tests that do not pass on the warehouse as it stands."""
    failed, results = try_dbt(warehouse, "test", "--select", *selection)
    assert failed
    return {result.unique_id.split(".")[2] for result in results if result.status == "fail"}


def test_the_small_ledger_is_what_it_should_be(ledger: Path):
    found = read_rows(
        ledger,
        "select team_id, allocation_step, sum(billed_cost_usd) from marts.fct_cost_ledger group by all order by 1, 2",
    )
    # 10.0000000004 rounds to 10: by 3.00001, 1.00001 and 2.00001 of 6.00003 (weights in nano-units), idle the rest.
    # 10.0000000004 + 0.0000000004 rounds to 10.000000001 together, so one nano-dollar is a row of its own.
    # The tax of -0.1 names no invoice, so it follows the account's charges by effective cost: 1.499999167 research
    # (1 + 3.00001 / 6.00003), 1.1666675 untagged and 0.333333333 unallocated of 3.
    assert found == [
        ("research", "direct", Decimal("1.000000000")),
        ("research", "held", Decimal("4.999991667")),
        ("research", "shared", Decimal("-0.049999972")),
        ("shared", "rounding", Decimal("0.000000001")),
        ("shared", "shared", Decimal("0.000000000")),
        ("unallocated", "idle", Decimal("3.333333333")),
        ("unallocated", "shared", Decimal("-0.011111111")),
        ("untagged", "held", Decimal("1.666675000")),
        ("untagged", "shared", Decimal("-0.038888917")),
        ("untagged", "unallocated", Decimal("0.000000000")),
    ]


def test_no_dollar_and_no_split_weight_is_a_float(ledger: Path):
    floats = read_rows(
        ledger,
        """select table_name, column_name from information_schema.columns
        where table_schema in ('staging', 'intermediate', 'marts') and data_type in ('DOUBLE', 'FLOAT', 'REAL')
        and regexp_matches(column_name, '(_usd|_local)$|usd_per_|weight')""",
    )
    assert floats == []


def test_every_law_turns_red_when_it_is_broken(ledger: Path):
    with duckdb.connect(str(ledger)) as connection:
        for breach in (
            # Laws 1 and 2: one nano-dollar too much in the ledger.
            "update marts.fct_cost_ledger set effective_cost_usd = effective_cost_usd + 0.000000001"
            " where allocation_step = 'idle'",
            # Law 1, invoices: less payable than the invoice's lines, in the last place of its currency.
            "update marts.fct_invoice_bridge set payable_cost_local = payable_cost_local - 0.000000000000000001"
            " where step = 'payable'",
            # Law 1, node-hours, and law 3: a holder's share vanishes.
            "delete from intermediate.int_charges__held_hours where allocation_kind = 'idle'",
            "delete from intermediate.int_charges__allocated where allocation_step = 'idle'",
            # Law 5: a slice without a rate at par.
            "update marts.fct_reconciliation set billed_cost_usd = billed_cost_local where step = 'held_back'",
            # Law 8: an hour that begins when its charge ends.
            "update intermediate.int_charges__node_hours set usage_hour_at = charge_end_at",
            # Law 2: a delivered line that no charge has.
            "delete from marts.fct_invoice_lines where resource_id = 'bucket'",
            # Law 2: a gap of a nano-dollar more than nobody owns.
            "update marts.fct_tag_gaps set effective_cost_usd = effective_cost_usd + 0.000000001"
            " where team_id = 'untagged' and match_on = 'account'",
            # Law 10: a dollar on a team that is neither named by a rule nor one of the four.
            "update marts.fct_cost_ledger set team_id = 'nobody' where allocation_step = 'direct'",
        ):
            connection.execute(breach)
    failing = failing_tests(ledger, ["assert_law_*", "relationships_fct_cost_ledger_*"])
    assert failing == {
        "assert_law_1_every_cent_once",
        "assert_law_1_invoices_foot",
        "assert_law_1_ledger_holds_what_was_counted",
        "assert_law_1_node_hours_foot",
        "assert_law_10_every_team_has_a_reason",
        "assert_law_2_chargeback_is_the_ledger",
        "assert_law_2_showback_is_the_ledger",
        "assert_law_2_edges_are_the_ledger",
        "assert_law_2_invoice_lines_are_the_ledger",
        "assert_law_2_tag_gaps_are_the_ledger",
        "assert_law_3_each_charge_is_split_whole",
        "assert_law_5_no_rate_no_ledger",
        "assert_law_8_hours_lie_inside_their_charge",
        "relationships_fct_cost_ledger_team_id__team_id__ref_dim_teams_",
    }
