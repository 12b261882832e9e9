"""The first levels of the split-cost cases through the chain: charges in euro, dated owner rules and node-hours in,
ledger rows out, equal to the answers that somebody else worked. The case that is a FOCUS file is landed as one."""

import json
from collections import defaultdict
from datetime import date
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest

from ingest import lake
from ingest.contracts import FOCUS_CHARGES
from ingest.home import create_home
from ingest.landing import land
from tests.dbt_project.small_warehouse import read_rows, run_dbt, touch_days, write_landing
from tests.dbt_project.test_laws import PERIOD, allocation, charge
from tests.golden.split_cost_cases import FOLDER, read_case, read_expected
from tests.ingest.landed import configure

pytestmark = pytest.mark.slow

NODES = [
    (2, "application3"),
    (2, "application4"),
    (2, "application5"),
    (6, "a"),
    (8, "container"),
    (10, "s1"),
    (10, "s10"),
]
"""Services that cloud charges alone feed: nodes to the chain, their consumers the holders."""

TAG_RULES = [("trx", value, "application2") for value in "xyz"] + [
    ("application", "BrightLensMatrix", "brightlensmatrix")
]
"""What the selectors of case 2 and the tags of case 12 say, as owner rules."""


def landed_rows(shared_data: Path) -> dict[str, list[dict[str, object]]]:
    """The charges of those services as FOCUS lines, their keys as what OpenCost says each holder took of the node."""
    landed: dict[str, list[dict[str, object]]] = defaultdict(list)
    landed["config_fx_rates"] = [{"currency_code": "EUR", "to_currency_code": "USD", "rate": Decimal(1)}]
    for number, service in NODES:
        case, account = read_case(shared_data, number), f"{number}-{service}"
        landed["focus_charges"] += [
            charge(
                billing_account_id=account,
                billing_currency="EUR",
                resource_id=account,
                tags=json.dumps(line.tags),
                billed_cost=line.amortized,
                effective_cost=line.amortized,
                contracted_cost=line.on_demand,
            )
            for line in case.charges
            if line.service == service
        ]
        landed["opencost_allocations"] += [
            allocation("workload", f"pod-{position}", str(key.weight))
            | {"node": account, "provider_id": account, "namespace": key.consumer[0]}
            for position, key in enumerate(case.keys)
            # Our weights are never negative, and what a selector took is no longer the node's.
            if key.provider[0] == service and key.consumer and key.weight >= 0 and not key.selector
        ]
    landed["config_owners"] = [
        {"rule_id": f"namespace-{name}", "match_on": "namespace", "match_value": name, "team_id": name, "priority": 1}
        for name in sorted({str(row["namespace"]) for row in landed["opencost_allocations"]})
    ] + [
        {"rule_id": f"tag-{value}", "match_on": "tag", "match_key": key, "match_value": value, "priority": 1}
        | {"team_id": team}
        for key, value, team in TAG_RULES
    ]
    return landed


def land_focus_case(folder: Path, shared_data: Path) -> list[dict[str, object]]:
    """Rows of case 12 as the FOCUS connector lands them, a spreadsheet's dates and all."""
    home = create_home(folder / "home")
    configure(home, f"{{name: twelve, kind: focus, location: '{shared_data / FOLDER}/test12_cloud_cost.csv'}}")
    assert not land(home).has_refusals
    with lake.open_engine(home) as engine:
        sql = lake.select_files_sql(engine, FOCUS_CHARGES, lake.list_files(home, FOCUS_CHARGES))
        return engine.sql(sql).to_arrow_table().to_pylist()


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory: pytest.TempPathFactory, shared_data: Path) -> Path:
    """The ledger of all first levels."""
    folder = tmp_path_factory.mktemp("oracle")
    warehouse = folder / "warehouse.duckdb"
    landed = landed_rows(shared_data)
    landed["focus_charges"] += land_focus_case(folder, shared_data)
    write_landing(warehouse, landed)
    touch_days(warehouse, [PERIOD, date(2024, 9, 18)])
    with duckdb.connect(str(warehouse)) as connection:
        connection.executemany("insert into raw.touched_periods values (?)", [[PERIOD], [date(2024, 9, 1)]])
    run_dbt(warehouse, "build", "--select", "+fct_cost_ledger", "--resource-type", "model", "--resource-type", "seed")
    return warehouse


def in_ledger(warehouse: Path, account: str) -> dict[str, tuple[Decimal, Decimal]]:
    """Effective and contracted USD of an account by team."""
    rows = read_rows(
        warehouse,
        "select team_id, sum(effective_cost_usd), sum(contracted_cost_usd) from marts.fct_cost_ledger"
        f" where billing_account_id = '{account}' group by 1",
    )
    return {team: (effective, contracted) for team, effective, contracted in rows}


@pytest.mark.parametrize(("number", "service"), NODES)
def test_the_chain_gives_each_consumer_what_the_case_says(warehouse, shared_data, number, service):
    expected: dict[str, tuple[Decimal, Decimal]] = {}
    for row in read_expected(shared_data, number):
        if row["ProviderService"] == service:
            # A row is either for a product or not; what came by way of another product is a later level.
            kind = "Product" if row["Product"] else "ServiceProduct"
            amounts = [Decimal(row[f"{kind}{basis}Cost"]) for basis in ("Amortized", "OnDemand")]
            effective, contracted = expected.get(row["Service"], (Decimal(0), Decimal(0)))
            expected[row["Service"]] = (effective + amounts[0], contracted + amounts[1])
    assert in_ledger(warehouse, f"{number}-{service}") == expected


def test_a_focus_file_keeps_its_bases_and_a_line_without_a_known_tag_is_untagged(warehouse, shared_data):
    found = in_ledger(warehouse, "1.23457E+12")
    answers = {row["Service"]: row for row in read_expected(shared_data, 12)}
    assert found == {
        "brightlensmatrix": (Decimal("1.618"), Decimal(2)),
        # The answer rounds 3.14159 to four decimals, and calls what nobody is tagged on a service of its own.
        "untagged": (Decimal("3.14159"), Decimal(4)),
    }
    for team, service in [("brightlensmatrix", "brightlensmatrix"), ("untagged", "s0")]:
        effective, contracted = found[team]
        assert round(effective, 4) == Decimal(answers[service]["AmortizedCost"])
        assert contracted == Decimal(answers[service]["OnDemandCost"])


def test_keys_that_are_all_zero_are_split_evenly_and_say_that_they_are_an_estimate(warehouse):
    rows = read_rows(
        warehouse,
        "select distinct is_estimate from marts.fct_cost_ledger where billing_account_id = '10-s10'",
    )
    assert rows == [(True,)]
