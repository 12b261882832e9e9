"""The golden day and what happens to it later, built step by step and all at once: the same marts (law 11)."""

import json
import shutil
from collections import Counter
from pathlib import Path

import pytest
import yaml

from ingest.home import Home, create_home
from ingest.landing import land
from orchestration.build_state import begin_build, end_build, plan_build
from tests.dbt_project.small_warehouse import read_rows, run_dbt

GOLDEN = Path(__file__).parent / "2026-10-01" / "home"
pytestmark = [pytest.mark.slow, pytest.mark.long]

SOURCES = {
    "aws": ("focus", "exports/aws/**/*.csv"),
    "azure": ("focus", "exports/azure/**/*.csv"),
    "openai": ("focus", "exports/openai/*.csv"),
    "openai-admin": ("provider_costs", "exports/openai-admin/*.json"),
    "opencost": ("opencost_allocation", "telemetry/opencost/*.json"),
    "dcgm": ("dcgm_prometheus", "telemetry/dcgm/*.json"),
    "gateway": ("litellm", "logs/*.jsonl"),
}
ENERGY = "telemetry/dcgm/DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION.json"
ACTIVITY = "telemetry/dcgm/DCGM_FI_PROF_SM_ACTIVE.json"


def read_golden(name: str) -> str:
    return (GOLDEN / name).read_text()


def log_lines(*days: int) -> str:
    """The first call of the golden day once more, under another id, at its hour on other days of October."""
    call = json.loads(read_golden("logs/2026-10-01.jsonl").splitlines()[0])
    return "".join(
        json.dumps(
            call | {"litellm_call_id": f"late-{day}"} | {name: call[name] + 86_400 * (day - 1) for name in times}
        )
        + "\n"
        for day in days
        for times in [("startTime", "endTime")]
    )


AWS = read_golden("exports/aws/2026-10.csv")


def eur_bill(month: int, *charges: str) -> str:
    """Microsoft's bill of a month, of lines that last it whole."""
    span = f"2026-{month:02d}-01T00:00:00Z,2026-{month + 1:02d}-01T00:00:00Z"
    lines = (f"Microsoft,sub-9,EUR,{span},{span},{charge}" for charge in charges)
    return "\n".join([AWS.splitlines()[0], *lines, ""])


TAG = '"{""team"":""research""}"'
EUR_BILL = eur_bill(
    9, f"Usage,Virtual Machines,vm-1,,,30,30,30,{TAG}", f"Purchase,Virtual Machines,,sp-1,,24,0,0,{TAG}"
)
TAKES_BACK = eur_bill(11, "Credit,Virtual Machines,vm-1,,,-10,-10,-10,", "Usage,Virtual Machines,,sp-1,Unused,0,2,0,")
OWNERS = read_golden("config/owners.csv")
SIGHT = OWNERS.replace("vision,vision,Vision,CC-2,,200,,", "vision,vision,Vision,CC-2,,200,,2026-10-01") + (
    "r5,namespace,,vision,sight,Sight,CC-3,,200,2026-10-01,\n"
)
RATES = "currency_code,to_currency_code,valid_from,valid_to,rate,source\nEUR,USD,2026-09-01,,1.10,ECB\n"


def openai_report(tokens: int) -> str:
    """What OpenAI says was used on the golden day."""
    used = {"object": "organization.usage.completions.result", "input_tokens": tokens, "output_tokens": 0}
    bucket = {"start_time": 1_790_812_800, "end_time": 1_790_899_200, "results": [used | {"model": "gpt-4o"}]}
    return json.dumps({"object": "page", "data": [bucket], "has_more": False, "next_page": None})


STEPS: list[dict[str, str]] = [
    # The restated bill comes first, a bill without a rate, and the traffic of a day whose bill is not there yet.
    {
        "exports/aws/20261105T0000/bill.csv": AWS,
        "exports/azure/run-1/bill.csv": EUR_BILL,
        "exports/azure/run-2/bill.csv": TAKES_BACK,
        "telemetry/opencost/2026-10-01.json": read_golden("telemetry/opencost/2026-10-01.json"),
        "logs/late.jsonl": log_lines(1, 2),
        ENERGY: read_golden(ENERGY),
        "config/facilities.csv": read_golden("config/facilities.csv").replace("included", "measured"),
    },
    # The rate, and a rule that had been wrong all along.
    {
        "config/fx_rates.csv": RATES,
        "config/owners.csv": SIGHT,
        "exports/openai-admin/2026-10-01.json": openai_report(1000),
    },
    # The first version of the bill, the rest of the bills and of the telemetry, calls logged twice; and the second
    # day's only call is withdrawn. What November credits and leaves unused had another team's tag in September, a late
    # bill says.
    {
        "exports/azure/run-3/bill.csv": EUR_BILL.replace('team"":""research', 'litellm_team_id"":""vision'),
        "exports/aws/20261103T0000/bill.csv": AWS.replace(",6,6,8,", ",5,5,8,"),
        "exports/openai/2026-10.csv": read_golden("exports/openai/2026-10.csv"),
        "logs/2026-10-01.jsonl": read_golden("logs/2026-10-01.jsonl"),
        "logs/again.jsonl": read_golden("logs/2026-10-01.jsonl"),
        "logs/late.jsonl": log_lines(1),
        # The provider counts anew.
        "exports/openai-admin/2026-10-01.json": openai_report(2000),
        ACTIVITY: read_golden(ACTIVITY),
    },
]


def make_home(path: Path) -> Home:
    home = create_home(path)
    for name in ("owners", "facilities", "tariffs"):
        shutil.copy(GOLDEN / "config" / f"{name}.csv", home.config_dir)
    sources = [{"name": name, "kind": kind, "location": pattern} for name, (kind, pattern) in SOURCES.items()]
    home.sources_path.write_text(yaml.safe_dump({"reporting_currency": "USD", "sources": sources}))
    return home


def land_and_build(home: Home, *arriving: dict[str, str]) -> dict[str, Counter[tuple]]:
    """Marts after these objects came."""
    for objects in arriving:
        for name, text in objects.items():
            path = home.path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
    land(home)
    plan = plan_build(home, full_refresh=False)
    begin_build(home)
    extent = ["--full-refresh"] if plan.is_full_refresh else []
    run_dbt(home.warehouse_path, "build", "--resource-type", "model", "--resource-type", "seed", *extent)
    end_build(home, plan)
    return read_marts(home.warehouse_path)


def read_marts(warehouse: Path) -> dict[str, Counter[tuple]]:
    names = [
        name for (name,) in read_rows(warehouse, "select table_name from duckdb_tables() where schema_name = 'marts'")
    ]
    return {name: Counter(read_rows(warehouse, f"select * from marts.{name}")) for name in names}


def sum_usd(marts: Path, where: str) -> str | None:
    ((usd,),) = read_rows(marts, f"select sum(effective_cost_usd) from marts.fct_cost_ledger where {where}")
    return None if usd is None else f"{usd:f}"


def test_steps_in_another_order_and_a_warehouse_made_anew_equal_all_at_once(tmp_path: Path) -> None:
    home = make_home(tmp_path / "steps")
    warehouse = home.warehouse_path
    land_and_build(home, STEPS[0])
    assert sum_usd(warehouse, "provider_name = 'AWS'") == "17.000000000"
    assert sum_usd(warehouse, "provider_name = 'Microsoft'") is None
    assert sum_usd(warehouse, "allocation_step = 'accrual' and cost_pool = 'llm_api'") == "0.007000000"
    assert (
        sum_usd(warehouse, "team_id = 'vision' and cost_pool = 'cluster_nodes' and provider_name = 'AWS'")
        == "1.000000000"
    )
    second_day = "select sum(request_count) from marts.fct_unit_costs_daily where usage_date = '2026-10-02'"
    assert read_rows(warehouse, second_day) == [(1,)]

    warehouse.unlink()
    land_and_build(home, STEPS[1])
    # 30 EUR at 1.10; two months later 10 are credited, and 2 of what was bought unused. What vision held of the node is
    # sight's from its first day on.
    assert sum_usd(warehouse, "provider_name = 'Microsoft'") == "24.200000000"
    november = "provider_name = 'Microsoft' and billing_period_start_date = '2026-11-01' and team_id = "
    taken_back = {"credit": "-11.000000000", "unused_commitment": "2.200000000"}
    for pool, usd in taken_back.items():
        assert sum_usd(warehouse, f"{november}'research' and cost_pool = '{pool}'") == usd
    held = "team_id in ('sight', 'vision') and cost_pool = 'cluster_nodes' and provider_name = 'AWS'"
    assert sum_usd(warehouse, held) == "1.000000000"

    stepwise = land_and_build(home, STEPS[2])
    assert sum_usd(warehouse, "provider_name = 'AWS'") == "17.000000000"
    assert read_rows(warehouse, second_day) == [(None,)]
    # November's bill is as it was, and what it takes back follows what September's says now.
    for pool, usd in taken_back.items():
        assert sum_usd(warehouse, f"{november}'vision' and cost_pool = '{pool}'") == usd
    assert sum_usd(warehouse, f"{november}'research'") is None
    # Energy is measured in this home, and the calls that had no bill are accrued no more.
    assert sum_usd(warehouse, "provider_name = 'owned'") == "0.052500000"
    assert sum_usd(warehouse, "allocation_step = 'accrual'") is None
    # The golden node has GPUs that OpenCost does not count, so that no quota can be judged, and no month is closed; all
    # else is compared by rows that are there.
    assert {name for name, rows in stepwise.items() if not rows} == {"fct_quota_daily", "fct_restatements"}

    at_once = land_and_build(make_home(tmp_path / "at-once"), *STEPS)
    assert at_once.keys() == stepwise.keys()
    for name, rows in at_once.items():
        assert stepwise[name] == rows, name
