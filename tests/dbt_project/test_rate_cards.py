"""A team is charged a standard rate for its GPU-hours; what that is over or under the bill stays with the platform."""

from datetime import date
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest

from tests.dbt_project.small_warehouse import read_rows, run_dbt, touch_days, write_landing
from tests.dbt_project.test_laws import PERIOD, allocation, charge

pytestmark = pytest.mark.slow


def node_charge(usd: str, service: str) -> dict[str, object]:
    """One hour of node i-1 as one of the services that bill it."""
    money = {basis: Decimal(usd) for basis in ("billed_cost", "effective_cost")}
    return charge(resource_id="arn:aws:ec2:x:111:instance/i-1", service_name=service, **money)


def pod(name: str, gpu_hours: int, gpu_cost: str) -> dict[str, object]:
    """A pod of node i-1 whose whole cost is its GPUs'."""
    zero = {"cpu_cost": Decimal(0), "ram_cost": Decimal(0)}
    return allocation("workload", name, gpu_cost) | {"gpu_hours": gpu_hours, "gpu_cost": Decimal(gpu_cost)} | zero


LANDED = {
    # 8 USD an hour, billed in two lines: GPUs 3 and 1 of 4 held, so 6 and 2 USD.
    "focus_charges": [node_charge("7", "Amazon EC2"), node_charge("1", "Amazon EBS")],
    "opencost_allocations": [pod("train-0", 3, "6"), pod("serve-0", 1, "2")],
    "config_owners": [
        {"rule_id": "r1", "match_on": "tag", "match_key": "team", "match_value": "research"}
        | {"team_id": "research", "priority": 1}
    ],
    "config_rate_cards": [
        {"cluster": "*", "gpu_model": "*", "usd_per_gpu_hour": Decimal("9")},
        {"cluster": "c1", "gpu_model": "*", "usd_per_gpu_hour": Decimal("2.5"), "valid_from": date(2026, 10, 1)},
        {"cluster": "c2", "gpu_model": "*", "usd_per_gpu_hour": Decimal("1")},
    ],
}


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The node's hour with the laws green."""
    warehouse = tmp_path_factory.mktemp("cards") / "warehouse.duckdb"
    write_landing(warehouse, LANDED)
    touch_days(warehouse, [PERIOD])
    with duckdb.connect(str(warehouse)) as connection:
        connection.execute("insert into raw.touched_periods values (?)", [PERIOD])
    run_dbt(warehouse, "build", "--exclude-resource-type", "unit_test")
    return warehouse


def test_the_cards_rate_is_charged_and_the_difference_stays_with_the_platform(ledger: Path) -> None:
    found = read_rows(
        ledger,
        "select team_id, allocation_step, policy_id, sum(billed_cost_usd)::decimal(18, 2)::varchar, "
        "sum(effective_cost_usd)::decimal(18, 2)::varchar from marts.fct_cost_ledger "
        "where allocation_step in ('held', 'rate_card') group by all order by all",
    )
    card = "rate_card/c1/*/2026-10-01"
    charged = {
        (team, step, policy if step == "rate_card" else None): (billed, usd)
        for team, step, policy, billed, usd in found
    }
    assert charged == {
        ("research", "held", None): ("6.00", "6.00"),
        ("research", "rate_card", card): ("0.00", "1.50"),
        ("untagged", "held", None): ("2.00", "2.00"),
        ("untagged", "rate_card", card): ("0.00", "0.50"),
        ("unallocated", "rate_card", card): ("0.00", "-2.00"),
    }, "3 and 1 GPU-hours at 2.50 are 7.50 and 2.50"


def test_each_line_of_the_bill_still_sums(ledger: Path) -> None:
    found = read_rows(
        ledger,
        "select service_name, sum(effective_cost_usd)::decimal(18, 9)::varchar from marts.fct_cost_ledger "
        "group by all order by all",
    )
    assert found == [("Amazon EBS", "1.000000000"), ("Amazon EC2", "7.000000000")]
