"""What the company's own machines cost, and power that is measured, invoiced or included, as charges of the ledger."""

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest

from tests.dbt_project.small_warehouse import read_rows, run_dbt, touch_days, write_landing
from tests.dbt_project.test_charge_chain import request
from tests.dbt_project.test_laws import LEDGER, allocation, charge, failing_tests

pytestmark = pytest.mark.slow

SELECTION = f"{LEDGER} +fct_gpu_energy_hourly"
MONTHS = (date(2026, 2, 1), date(2026, 10, 1))
DAYS = [
    month + timedelta(days=offset) for month, count in zip(MONTHS, (28, 31), strict=True) for offset in range(count)
]
OCTOBER = date(2026, 10, 1)


def asset(name: str, **columns: object) -> dict[str, object]:
    """A machine of 36,000 USD over 36 months from the middle of January 2026: 1,000 USD a month."""
    return {
        "asset_id": name,
        "resource_id": name,
        "facility_id": "dc1",
        "gpu_count": 8,
        "purchase_cost_usd": Decimal(40_000),
        "residual_usd": Decimal(4_000),
        "in_service_date": date(2026, 1, 17),
        "useful_life_months": 36,
        "space_usd_per_month": Decimal(0),
        "staff_usd_per_month": Decimal(0),
        "maintenance_usd_per_month": Decimal(0),
        "_object": "owned_hardware.csv",
        "_position": len(name),
    } | columns


def samples(host: str) -> list[dict[str, object]]:
    """A card of `host` that draws half a kWh in the first hour of October, by its counter."""
    return [
        {
            "sampled_at": datetime(2026, 10, 1) + timedelta(minutes=minute),
            "metric": "DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION",
            "value": minute * 30_000_000.0,
            "gpu_uuid": f"GPU-{host}",
            "hostname": host,
            "model_name": "NVIDIA H100 80GB HBM3",
            "usage_date": OCTOBER,
        }
        for minute in range(0, 61, 15)
    ]


def node_allocation(node: str, kind: str, pod: str | None, units: str) -> dict[str, object]:
    return allocation(kind, pod, units) | {"node": node, "provider_id": node}


def site(facility: str, power_source: str, **columns: object) -> dict[str, object]:
    return {
        "facility_id": facility,
        "hostname_pattern": f"{facility}-%",
        "pue": Decimal("1.5"),
        "power_source": power_source,
    } | columns


LANDED: dict[str, list[Mapping[str, object]]] = {
    "config_owned_hardware": [
        asset("whole-life"),
        asset("retired-early", valid_to=date(2026, 10, 11)),
        # Rent goes up on the 16th of a month of 31 days.
        asset("x", purchase_cost_usd=Decimal(0), residual_usd=Decimal(0), space_usd_per_month=Decimal(310))
        | {"valid_to": date(2026, 10, 16)},
        asset("x", purchase_cost_usd=Decimal(0), residual_usd=Decimal(0), space_usd_per_month=Decimal(620))
        | {"valid_from": date(2026, 10, 16), "_position": 90},
        # Its last month, from 17 September to 16 October, and a life of one month and a third of a cent.
        asset(
            "ends", in_service_date=date(2023, 10, 17), purchase_cost_usd=Decimal("36000.01"), residual_usd=Decimal(0)
        ),
        asset("measured-1", purchase_cost_usd=Decimal(0), residual_usd=Decimal(0), staff_usd_per_month=Decimal(31)),
    ],
    "config_facilities": [
        site("measured", "measured"),
        site("free", "included"),
        site("dark", "measured"),
        site("invoiced", "invoice", power_invoice_account_id="contract-7"),
    ],
    "config_tariffs": [
        {"facility_id": name, "usd_per_kwh": Decimal("0.20")} for name in ("measured", "free", "invoiced")
    ],
    "config_owners": [
        {"rule_id": "r", "match_on": "tag", "match_key": "team", "match_value": "research", "team_id": "research"}
        | {"priority": 1}
    ],
    "dcgm_samples": [
        row for host in ("measured-1", "free-1", "dark-1", "invoiced-1", "invoiced-2") for row in samples(host)
    ],
    "opencost_allocations": [
        node_allocation("measured-1", "workload", "train-0", "3"),
        node_allocation("measured-1", "idle", None, "1"),
        node_allocation("invoiced-1", "workload", "train-0", "1"),
        node_allocation("unbilled-1", "workload", "train-0", "3"),
        node_allocation("unbilled-1", "idle", None, "2"),
    ],
    "focus_charges": [
        charge(
            _position=1,
            provider_name="Stadtwerke",
            billing_account_id="contract-7",
            billing_currency="EUR",
            charge_frequency="Recurring",
            charge_period_end=datetime(2026, 10, 2),
            billed_cost=Decimal("10.0000000000000003"),
            effective_cost=Decimal("10.0000000000000003"),
            list_cost=None,
        ),
    ],
    "litellm_requests": [request(1, datetime(2026, 10, 1, 5))],
    "config_price_overrides": [
        {"provider": "mistral", "model": "m", "token_class": name, "usd_per_mtok": Decimal(rate)}
        for name, rate in (("input", 100_000), ("output", 200_000))
    ],
    "config_adjustments": [
        {
            "adjustment_id": "j1",
            "adjustment_kind": "dispute",
            "usage_date": date(2026, 10, 5),
            "team_id": team,
            "amount_usd": Decimal(amount),
            "reason": "wrong queue",
            "approver": "cfo",
        }
        for team, amount in (("research", "-12.5"), ("sales", "12.5"))
    ],
    "config_fx_rates": [{"currency_code": "EUR", "to_currency_code": "USD", "rate": Decimal("1.1"), "source": "ECB"}],
}


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """February and October built, with the laws' tests green."""
    warehouse = tmp_path_factory.mktemp("own") / "warehouse.duckdb"
    write_landing(warehouse, LANDED)
    touch_days(warehouse, DAYS)
    with duckdb.connect(str(warehouse)) as connection:
        connection.executemany("insert into raw.touched_periods values (?)", [[month] for month in MONTHS])
    run_dbt(warehouse, "build", "--select", *SELECTION.split(), "--exclude-resource-type", "unit_test")
    return warehouse


def month_sums(warehouse: Path, resource: str) -> list[tuple[str, date, Decimal, date]]:
    """Service, month, effective USD and last day of a resource's own charges."""
    return read_rows(
        warehouse,
        "select service_name, billing_period_start_date, sum(effective_cost_usd), max(usage_date) "
        f"from marts.fct_cost_ledger where provider_name = 'owned' and resource_id = '{resource}' "
        "group by all order by all",
    )


def test_a_whole_month_is_a_36th_and_a_retired_machine_is_charged_to_that_day(ledger: Path):
    february = ("Depreciation", MONTHS[0], Decimal(1000), date(2026, 2, 28))
    assert month_sums(ledger, "whole-life") == [
        february,
        ("Depreciation", OCTOBER, Decimal(1000), date(2026, 10, 31)),
    ]
    # 10 of 31 days.
    assert month_sums(ledger, "retired-early") == [
        february,
        ("Depreciation", OCTOBER, Decimal("322.580645161"), date(2026, 10, 10)),
    ]


def test_the_last_month_takes_what_the_life_has_left(ledger: Path):
    months = read_rows(
        ledger,
        "select month_start_date, depreciation_usd from intermediate.int_charges__depreciation "
        "where asset_id = 'ends' order by 1",
    )
    assert len(months) == 37
    assert sum(row[1] for row in months) == Decimal("36000.01")
    # 15 of 31 days of the first month; 35 whole months; the rest, 16 of 31 days, ends on 16 October 2026.
    assert months[0] == (date(2023, 10, 1), Decimal("483.871102150"))
    assert months[-1] == (OCTOBER, Decimal("516.129175627"))
    assert {row[1] for row in months[1:-1]} <= {Decimal("1000.000277777"), Decimal("1000.000277778")}
    assert month_sums(ledger, "ends")[-1][3] == date(2026, 10, 16)


def test_a_dearer_space_holds_from_its_day_on(ledger: Path):
    assert month_sums(ledger, "x") == [
        ("Space", MONTHS[0], Decimal(310), date(2026, 2, 28)),
        # 15 days at 10 and 16 days at 20.
        ("Space", OCTOBER, Decimal(470), date(2026, 10, 31)),
    ]


def test_own_machines_follow_the_holders_of_their_node_hours_and_else_stay_unallocated(ledger: Path):
    found = read_rows(
        ledger,
        "select service_name, team_id, cost_pool, sum(effective_cost_usd) from marts.fct_cost_ledger "
        "where resource_id = 'measured-1' and billing_period_start_date = '2026-10-01' group by all order by all",
    )
    # 0.5 kWh x 1.5 x 0.20, held by research 3 : 1 in the only hour that OpenCost saw; the day's charge has 24 of them.
    energy = {row[1]: row[3] for row in found if row[0] == "Energy"}
    assert sum(energy.values()) == Decimal("0.15")
    assert energy["research"] == Decimal("0.0046875") and energy["unallocated"] == Decimal("0.0015625")
    staff = {row[1]: row[3] for row in found if row[0] == "Staff"}
    assert sum(staff.values()) == Decimal(31)
    # A day of it in the hours of the node; on 30 days nobody reported use.
    assert staff["research"] == Decimal("0.03125") and staff["unallocated"] == Decimal("30.010416667")


def test_included_energy_is_a_memo_and_energy_without_a_tariff_is_no_zero(ledger: Path):
    assert read_rows(
        ledger,
        "select hostname, sum(facility_kwh), sum(energy_cost_usd) from marts.fct_gpu_energy_hourly "
        "where hostname in ('free-1', 'dark-1') group by all order by all",
    ) == [("dark-1", Decimal("0.75"), None), ("free-1", Decimal("0.75"), Decimal("0.15"))]
    assert read_rows(ledger, "select * from marts.fct_cost_ledger where billing_account_id in ('free', 'dark')") == []
    assert read_rows(
        ledger,
        "select billing_account_id, cause, billed_cost_usd from marts.fct_reconciliation where cause = 'no_tariff'",
    ) == [("dark", "no_tariff", None)]


def test_kwh_split_the_power_invoice_and_nothing_stands_beside_it(ledger: Path):
    found = read_rows(
        ledger,
        "select resource_id, sum(effective_cost_usd) from marts.fct_cost_ledger "
        "where provider_name = 'Stadtwerke' and allocation_step != 'rounding' group by all order by all",
    )
    assert found == [("invoiced-1", Decimal("5.5")), ("invoiced-2", Decimal("5.5"))]
    assert read_rows(ledger, "select * from marts.fct_cost_ledger where billing_account_id = 'invoiced'") == []


def test_a_dispute_moves_dollars_that_add_up_to_zero(ledger: Path):
    assert read_rows(
        ledger,
        "select provider_name, team_id, allocation_method, effective_cost_usd from marts.fct_cost_ledger "
        "where allocation_step = 'adjustment' order by all",
    ) == [
        ("wattledger", "research", "dispute", Decimal("-12.5")),
        ("wattledger", "sales", "dispute", Decimal("12.5")),
    ]


def read_accruals(warehouse: Path) -> list[tuple]:
    """Provider, resource, team, estimate and USD of what is accrued."""
    return read_rows(
        warehouse,
        "select provider_name, resource_id, team_id, is_estimate, billed_cost_usd, effective_cost_usd "
        "from marts.fct_cost_ledger where allocation_step = 'accrual' order by all",
    )


def test_use_without_a_bill_is_accrued_until_the_bill_comes(ledger: Path, tmp_path: Path):
    assert read_accruals(ledger) == [
        # 10 tokens at 0.10 and 5 at 0.20.
        ("Mistral AI", None, "untagged", True, Decimal(0), Decimal(2)),
        ("wattledger", "unbilled-1", "research", True, Decimal(0), Decimal(3)),
        ("wattledger", "unbilled-1", "unallocated", True, Decimal(0), Decimal(2)),
    ]
    # It is told beside what was delivered, and leaves no residual.
    assert read_rows(
        ledger,
        "select step, effective_cost_usd from marts.fct_reconciliation "
        "where provider_name = 'wattledger' and (effective_cost_usd != 0 or step = 'residual') order by all",
    ) == [("accrued", Decimal(5)), ("residual", Decimal(0))]
    billed = tmp_path / "warehouse.duckdb"
    billed.write_bytes(ledger.read_bytes())
    bills = [
        charge(resource_id="unbilled-1", _position=2),
        charge(_position=3, provider_name="Mistral", service_subcategory="Generative AI"),
    ]
    write_landing(billed, LANDED | {"focus_charges": [*LANDED["focus_charges"], *bills]})
    touch_days(billed, DAYS)
    with duckdb.connect(str(billed)) as connection:
        connection.execute("insert into raw.touched_periods values (?)", [OCTOBER])
    run_dbt(billed, "build", "--select", *SELECTION.split(), "--exclude-resource-type", "unit_test")
    assert read_accruals(billed) == []
    # By an alias of the provider's name, which the ledger keeps as billed.
    assert read_rows(
        billed,
        "select allocation_step, effective_cost_usd from marts.fct_cost_ledger where provider_name = 'Mistral'",
    ) == [("token", Decimal(1))]


def test_the_tests_of_own_charges_turn_red(ledger: Path):
    with duckdb.connect(str(ledger)) as connection:
        connection.execute(
            """update intermediate.int_charges__depreciation set depreciation_usd = depreciation_usd + 0.000000001
            where asset_id = 'ends' and month_start_date = '2026-10-01';
            update intermediate.int_charges__owned_lines set billed_cost_local = billed_cost_local + 0.00000001
            where service_name = 'Space';
            insert into intermediate.int_charges__energy_lines
            from intermediate.int_charges__energy_lines select * replace ('invoiced-1' as resource_id)"""
        )
    failing = failing_tests(
        ledger,
        [
            "assert_a_life_depreciates_whole",
            "assert_owned_hardware_is_charged_by_the_register",
            "assert_energy_is_charged_once",
            "assert_law_1_every_cent_once",
        ],
    )
    assert failing == {
        "assert_a_life_depreciates_whole",
        "assert_owned_hardware_is_charged_by_the_register",
        "assert_energy_is_charged_once",
        "assert_law_1_every_cent_once",
    }
