"""From a node's bill to what its GPU-hours cost: policies, MIG, spot prices, and showback beside it."""

from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest

from ingest.allocation_policies import AllocationPolicy, list_default_rows
from tests.dbt_project.small_warehouse import read_rows, run_dbt, touch_days, write_landing
from tests.dbt_project.test_laws import charge, failing_tests

pytestmark = pytest.mark.slow

FEBRUARY = date(2027, 2, 1)
MIDNIGHT = datetime(2027, 2, 1)
HOUR = timedelta(hours=1)
CARD = "GPU-koku"
SLICES = (("1", "4g.20gb", "a", 2), ("2", "1g.5gb", "b", 6), ("3", "2g.10gb", "c", 2))
"""Of koku's worked month: MIG instance, profile, its pod, and the hours of the day that the pod held it."""

POLICIES = [
    AllocationPolicy(subject="node_rate", pool="koku", method="gpu_all"),
    AllocationPolicy(subject="node_rate", pool="dated", method="gpu_all", valid_from=date(2027, 2, 2)),
    AllocationPolicy(subject="mig_basis", pool="koku", method="memory", valid_from=date(2027, 2, 2)),
]


def bill(node: str, usd: str, start: datetime, end: datetime) -> dict[str, object]:
    """A line of a machine, in an account named after it."""
    return charge(
        billing_account_id=node,
        billing_period_date=FEBRUARY,
        resource_id=f"arn:aws:ec2:x:1:instance/{node}",
        billed_cost=Decimal(usd),
        effective_cost=Decimal(usd),
        charge_period_start=start,
        charge_period_end=end,
    )


def took(node: str, cluster: str, pod: str | None, start: datetime, parts: str) -> dict[str, object]:
    """What a pod, or nobody, took of a machine in an hour: CPU, memory and GPUs at list, as OpenCost says."""
    cpu, ram, gpu = (Decimal(part) for part in parts.split())
    return {
        "allocation_kind": "workload" if pod else "idle",
        "cluster": cluster,
        "node": node,
        "provider_id": node,
        "namespace": pod,
        "pod": pod,
        "window_start_at": start,
        "window_end_at": start + HOUR,
        "started_at": start,
        "ended_at": start + HOUR,
        "cpu_cost": cpu,
        "ram_cost": ram,
        "gpu_cost": gpu,
        "total_cost": cpu + ram + gpu,
        "usage_date": start.date(),
    }


def sample(instance: str, profile: str, pod: str | None, sampled_at: datetime) -> dict[str, object]:
    """A busy MIG instance of koku's card."""
    return {
        "sampled_at": sampled_at,
        "metric": "DCGM_FI_PROF_GR_ENGINE_ACTIVE",
        "value": 0.9 if pod else 0.0,
        "gpu_uuid": CARD,
        "model_name": "NVIDIA A100-SXM4-40GB",
        "hostname": "i-koku",
        "cluster": "koku",
        "mig_instance_id": instance,
        "mig_profile": profile,
        "namespace": pod,
        "pod": pod,
        "usage_date": sampled_at.date(),
    }


def koku_day(day: datetime) -> dict[str, list[dict[str, object]]]:
    """A day of the card: OpenCost counts MIG slices as no GPU, telemetry sees them each ten minutes."""
    hours = [day + hour * HOUR for hour in range(24)]
    pods = [
        took("i-koku", "koku", pod, hour, "0.01 0.01 0")
        for *_, pod, held_hours in SLICES
        for hour in hours[:held_hours]
    ]
    samples = [
        sample(instance, profile, pod if step < 6 * held_hours else None, day + timedelta(minutes=10 * step))
        for instance, profile, pod, held_hours in SLICES
        for step in range(144)
    ]
    idle = [took("i-koku", "koku", None, hour, "0.1 0.1 1") for hour in hours]
    return {"opencost_allocations": pods + idle, "dcgm_samples": samples}


def spot_and_dated() -> list[dict[str, object]]:
    """A spot node that lists 1.40, and one whose cluster changes its policy at midnight."""
    rows = [
        took("i-spot", "spot", "trainer", MIDNIGHT, "0.1 0.1 0.8"),
        took("i-spot", "spot", "web", MIDNIGHT, "0.2 0 0"),
        took("i-spot", "spot", None, MIDNIGHT, "0.1 0.1 0"),
    ]
    for day in (MIDNIGHT, MIDNIGHT + timedelta(days=1)):
        rows += [took("i-dated", "dated", "trainer", day, "1 1 5"), took("i-dated", "dated", "web", day, "2 1 0")]
    return rows


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All machines of the month built, every test of the chain green."""
    path = tmp_path_factory.mktemp("rates") / "warehouse.duckdb"
    days = [koku_day(MIDNIGHT), koku_day(MIDNIGHT + timedelta(days=1))]
    second_day = MIDNIGHT + timedelta(days=1)
    write_landing(
        path,
        {
            "focus_charges": [
                bill("i-koku", "2016", MIDNIGHT, MIDNIGHT + timedelta(days=28)),
                bill("i-spot", "0.40", MIDNIGHT, MIDNIGHT + HOUR),
                bill("i-dated", "10", MIDNIGHT, MIDNIGHT + HOUR),
                bill("i-dated", "10", second_day, second_day + HOUR),
            ],
            "opencost_allocations": [row for day in days for row in day["opencost_allocations"]] + spot_and_dated(),
            "dcgm_samples": [row for day in days for row in day["dcgm_samples"]],
            "config_allocation_policies": [row for policy in POLICIES for row in policy.to_rows()]
            + list_default_rows(POLICIES),
            "config_owners": [
                {"rule_id": name, "match_on": "namespace", "match_value": name, "team_id": name, "priority": 1}
                | {"cost_center_id": f"CC-{name}"}
                for name in ("a", "b", "c", "trainer", "web")
            ],
        },
    )
    touch_days(path, [FEBRUARY + timedelta(days=offset) for offset in range(28)])
    with duckdb.connect(str(path)) as connection:
        connection.execute("insert into raw.touched_periods values (?)", [FEBRUARY])
    run_dbt(path, "build", "--exclude-resource-type", "unit_test")
    return path


def read_day(warehouse: Path, account: str, day: date) -> dict[str, Decimal]:
    """Effective USD of an account's day by team."""
    rows = read_rows(
        warehouse,
        "select team_id, sum(effective_cost_usd) from marts.fct_cost_ledger "
        f"where billing_account_id = '{account}' and usage_date = '{day}' group by 1 "
        "having sum(effective_cost_usd) != 0",
    )
    return dict(rows)


def test_kokus_worked_month_is_charged_by_slices_and_hours(warehouse: Path) -> None:
    # 2,016 USD over 28 days are 72 a day, 3 an hour: 4/7 for 2 h, 1/7 for 6 h, 2/7 for 2 h, and nobody the rest.
    costs = read_day(warehouse, "i-koku", FEBRUARY)
    assert {team: round(usd, 2) for team, usd in costs.items()} == {
        "a": Decimal("3.43"),
        "b": Decimal("2.57"),
        "c": Decimal("1.71"),
        "unallocated": Decimal("64.29"),
    }
    assert sum(costs.values()) == 72
    # Whatever OpenCost counts, the month foots.
    [(month,)] = read_rows(
        warehouse, "select sum(effective_cost_usd) from marts.fct_cost_ledger where billing_account_id = 'i-koku'"
    )
    assert month == 2016


def test_a_card_seen_all_day_is_24_gpu_hours_and_its_slices_are_parts_of_it(warehouse: Path) -> None:
    rows = read_rows(
        warehouse,
        "select team_id, sum(gpu_hours) from marts.fct_gpu_state_hours "
        f"where usage_date = '{FEBRUARY}' group by 1 order by 1",
    )
    assert sum(hours for _, hours in rows) == Decimal("24.0")
    assert [(team, round(hours, 6)) for team, hours in rows] == [
        ("a", Decimal("1.142857")),
        ("b", Decimal("0.857143")),
        ("c", Decimal("0.571429")),
        ("unallocated", Decimal("21.428571")),
    ]


def test_by_memory_from_the_day_the_policy_says(warehouse: Path) -> None:
    # 4g.20gb, 1g.5gb and 2g.10gb have 19,968, 4,864 and 9,856 of 40,960 MiB; 6,272 MiB are in no instance.
    rows = read_rows(
        warehouse,
        "select mig_instance_id, gpu_hours, allocation_basis from marts.fct_gpu_state_hours "
        "where usage_hour_at = '2027-02-02' order by 1",
    )
    assert [(instance, round(hours, 6), basis) for instance, hours, basis in rows] == [
        ("1", Decimal("0.487500"), "mig_memory"),
        ("2", Decimal("0.118750"), "mig_memory"),
        ("3", Decimal("0.240625"), "mig_memory"),
        ("remainder", Decimal("0.153125"), "mig_memory"),
    ]


def test_a_spot_bill_below_the_list_price_of_cpu_and_memory_leaves_nobody_a_credit(warehouse: Path) -> None:
    # 0.40 USD, where CPU and memory list 0.60: 0.40 - 0.60 would pay the GPU's holder 0.20. As shares of 1.40 at list
    # the GPU has 0.80 and the web pod's CPU 0.20; 0.20 that nobody requested follow the GPU: 1.20 and 0.20 of 1.40.
    assert read_day(warehouse, "i-spot", FEBRUARY) == {
        "trainer": Decimal("0.342857143"),
        "web": Decimal("0.057142857"),
    }


def test_a_policy_holds_from_its_first_day_and_is_stamped(warehouse: Path) -> None:
    rows = read_rows(
        warehouse,
        "select usage_date, team_id, effective_cost_usd, allocation_method, policy_id from marts.fct_cost_ledger "
        "where billing_account_id = 'i-dated' and effective_cost_usd != 0 order by 1, 2",
    )
    second = FEBRUARY + timedelta(days=1)
    assert rows == [
        (FEBRUARY, "trainer", Decimal(7), "node_rate_residual", "default/node_rate"),
        (FEBRUARY, "web", Decimal(3), "node_rate_residual", "default/node_rate"),
        (second, "trainer", Decimal(10), "node_rate_gpu_all", "node_rate/dated/gpu_all/2027-02-02"),
    ]


def test_showback_has_held_worked_and_the_spread_over_policies_side_by_side(warehouse: Path) -> None:
    rows = read_rows(
        warehouse,
        "select cost_center_id, cluster_name, gpu_model, round(held_gpu_hours, 6), round(worked_gpu_hours, 6), "
        "round(held_cost_usd, 2), round(worked_cost_usd, 2), wasted_cost_usd, missing_reason, is_estimate "
        f"from marts.fct_showback_daily where usage_date = '{FEBRUARY}' and team_id = 'a'",
    )
    hours, usd = Decimal("1.142857"), Decimal("3.43")
    assert rows == [("CC-a", "koku", "A100-SXM-40GB", hours, hours, usd, usd, 0, None, True)]
    # The web pod of the dated node on the second day: nothing under gpu_all, 3 of 10 at list under residual,
    # between them 3% x 2/3 of CPU and 2% x 1/2 of memory under fixed. Weights, without quantities, are residual.
    assert read_rows(
        warehouse,
        "select held_cost_usd, lowest_policy_cost_usd, round(highest_policy_cost_usd, 6), missing_reason "
        "from marts.fct_showback_daily where usage_date = '2027-02-02' and team_id = 'web'",
    ) == [(0, 0, 3, "no_gpu_telemetry")]


def test_showback_turns_red_when_it_says_more_or_less_than_the_ledger(warehouse: Path) -> None:
    with duckdb.connect(str(warehouse)) as connection:
        for breach in (
            "update marts.fct_showback_daily set held_cost_usd = held_cost_usd + 0.000000001 where team_id = 'b'",
            "update marts.fct_showback_daily set held_gpu_hours = held_gpu_hours - 0.000000001 where team_id = 'c'",
            "update intermediate.int_charges__node_rate_spreads set effective_cost_usd = 99 where team_id = 'web'",
        ):
            connection.execute(breach)
    selection = ["assert_law_2_showback_is_the_ledger", "assert_showback_*", "assert_the_policy_in_force_*"]
    assert failing_tests(warehouse, selection) == {
        "assert_law_2_showback_is_the_ledger",
        "assert_showback_hours_are_the_state_hours",
        "assert_the_policy_in_force_is_in_the_spread",
    }
