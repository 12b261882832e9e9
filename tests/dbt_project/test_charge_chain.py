"""Charges that are hard to place, each in an account of its own, and the chain rebuilt period by period (law 11)."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest

from tests.dbt_project.small_warehouse import read_rows, run_dbt, touch_days, write_landing
from tests.dbt_project.test_laws import LEDGER, allocation, charge

pytestmark = pytest.mark.slow

OCTOBER = date(2026, 10, 1)
SEPTEMBER = date(2026, 9, 1)
DAYS = {
    OCTOBER: [OCTOBER + timedelta(days=offset) for offset in range(31)],
    SEPTEMBER: [SEPTEMBER + timedelta(days=offset) for offset in range(30)],
}
CHAIN = (
    "marts.fct_cost_ledger",
    "marts.fct_chargeback_daily",
    "marts.fct_reconciliation",
    "marts.fct_waste",
    "intermediate.int_charges__slices",
    "intermediate.int_charges__node_days",
    "intermediate.int_charges__unused_commitments",
)

OWNERS = [
    {"rule_id": "r1", "match_on": "tag", "match_key": "team", "match_value": "research", "team_id": "research"},
    {"rule_id": "r2", "match_on": "tag", "match_key": "team", "match_value": "web", "team_id": "web"},
    {"rule_id": "r3", "match_on": "account", "match_value": "no-traffic", "team_id": "buyers"},
    {"rule_id": "r4", "match_on": "namespace", "match_value": "shop", "team_id": "web"},
    {"rule_id": "r5", "match_on": "key", "match_value": "key-1", "team_id": "web"},
    {"rule_id": "r6", "match_on": "tag", "match_key": 'te"a/m~', "match_value": "x", "team_id": "quoted"},
    {"rule_id": "r7", "match_on": "account", "match_value": "handed-over", "team_id": "first"}
    | {"valid_to": date(2026, 10, 16)},
    {"rule_id": "r8", "match_on": "account", "match_value": "handed-over", "team_id": "second"}
    | {"valid_from": date(2026, 10, 16)},
]


def node_charge(account: str, node: str, usd: int, **columns: object) -> dict[str, object]:
    """One hour of a node, in an account named after the case."""
    return charge(
        billing_account_id=account,
        resource_id=f"arn:aws:ec2:x:1:instance/{node}",
        billed_cost=Decimal(usd),
        effective_cost=Decimal(usd),
        **columns,
    )


def virtual_charge(account: str, currency: str, units: int, **columns: object) -> dict[str, object]:
    """A line in another currency than USD, of money or not, in an account named after the case."""
    return charge(
        billing_account_id=account,
        billing_currency=currency,
        billed_cost=Decimal(units),
        effective_cost=Decimal(units),
        **columns,
    )


def node_allocation(node: str | None, kind: str, pod: str | None, units: int, **columns: object) -> dict[str, object]:
    """What a holder took of a node in the first hour."""
    return allocation(kind, pod, str(units)) | {"node": node, "provider_id": node} | columns


def request(call: int, started_at: datetime, **columns: object) -> dict[str, object]:
    """One call of 15 tokens through key-1."""
    return {
        "request_id": str(call),
        "litellm_call_id": str(call),
        "status": "success",
        "provider": "mistral",
        "model": "m",
        "api_key_alias": "key-1",
        "usage_status": "reported",
        "started_at": started_at,
        "prompt_tokens": 10,
        "completion_tokens": 5,
        "usage_date": started_at.date(),
        "_object": "log",
        "_position": call,
    } | columns


MONTH = {"charge_period_start": datetime(2026, 10, 1), "charge_period_end": datetime(2026, 11, 1)}
WHOLE_DAY = {"window_end_at": datetime(2026, 10, 2), "ended_at": datetime(2026, 10, 2)}

LANDED: dict[str, list[dict[str, object]]] = {
    "focus_charges": [
        node_charge("two-subcategories", "i-a", 6, service_subcategory="Virtual Machines"),
        node_charge("two-subcategories", "i-a", 4),
        charge(billing_account_id="separators", resource_id="a|", sku_id="b"),
        charge(billing_account_id="separators", resource_id="a", sku_id="|b", charge_category="Tax"),
        charge(billing_account_id="broken-tags", tags="'team': 'research'"),
        charge(billing_account_id="quoted-tags", tags=json.dumps({'te"a/m~': "x"})),
        charge(billing_account_id="no-traffic", provider_name="OpenAI", service_subcategory="Generative AI"),
        charge(
            billing_account_id="month-of-tokens",
            provider_name="Mistral AI",
            service_subcategory="Generative AI",
            charge_frequency="Recurring",
            billed_cost=Decimal("31.000000001"),
            effective_cost=Decimal(31),
            **MONTH,
        ),
        charge(billing_account_id="handed-over", effective_cost=Decimal("31"), **MONTH),
        charge(billing_account_id="once", charge_category="Purchase", charge_frequency="One-Time", **MONTH),
        node_charge("two-windows", "i-f", 4),
        node_charge("by-controller", "i-g", 4),
        node_charge("no-cluster", "i-h", 1),
        node_charge("cluster-idle", "i-e1", 8),
        node_charge("cluster-idle", "i-e2", 4),
        charge(billing_account_id="no-node", resource_id="folder/"),
        virtual_charge("credits", "Credits", 4),
        virtual_charge("units", "DBU", 7),
        # 90 EUR that the bill itself prices at 100 USD, and 10 of which it says nothing.
        virtual_charge("euros", "EUR", 90, pricing_currency="USD", pricing_currency_effective_cost=Decimal(100)),
        virtual_charge("euros", "EUR", 10),
    ],
    "opencost_allocations": [
        node_allocation("i-a", "workload", "train-0", 1),
        node_allocation("i-a", "idle", None, 1),
        node_allocation("i-f", "workload", "train-0", 1),
        node_allocation("i-f", "idle", None, 3),
        node_allocation("i-f", "workload", "serve-0", 24, **WHOLE_DAY),
        node_allocation("i-g", "workload", None, 3, namespace="ml", controller="a", labels='{"team":"research"}'),
        node_allocation("i-g", "workload", None, 1, namespace="ml", controller="b", labels='{"team":"web"}'),
        node_allocation("i-h", "workload", "p", 1, cluster=None, namespace="shop"),
        node_allocation("i-e1", "workload", "e1", 2, cluster="by-cluster", namespace="shop"),
        node_allocation("i-e2", "workload", "e2", 1, cluster="by-cluster", namespace="shop"),
        node_allocation(None, "idle", None, 9, cluster="by-cluster"),
        node_allocation("i-x/", "workload", "x", 9, namespace="shop"),
    ],
    "litellm_requests": [request(call, datetime(2026, 10, 2)) for call in range(2)],
    "config_owners": [{"priority": 1} | rule for rule in OWNERS],
    "config_fx_rates": [
        {"currency_code": "USD", "to_currency_code": "EUR", "rate": Decimal("0.9")},
        {"currency_code": "JPY", "to_currency_code": "EUR", "rate": Decimal("0.006")},
        {"currency_code": "Credits", "to_currency_code": "USD", "rate": Decimal("2.5")},
        {"currency_code": "EUR", "to_currency_code": "USD", "rate": Decimal("1.1")},
    ],
}


def touch(warehouse: Path, periods: Iterable[date]) -> None:
    """Name billing periods, and all their days, as what the next build rebuilds."""
    periods = list(periods)
    touch_days(warehouse, [day for period in periods for day in DAYS[period]])
    with duckdb.connect(str(warehouse)) as connection:
        connection.execute("delete from raw.touched_periods")
        connection.executemany("insert into raw.touched_periods values (?)", [[period] for period in periods])


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All the cases built, with the laws' tests green."""
    warehouse = tmp_path_factory.mktemp("chain") / "warehouse.duckdb"
    write_landing(warehouse, LANDED)
    touch(warehouse, [OCTOBER])
    run_dbt(warehouse, "build", "--select", *LEDGER.split(), "--exclude-resource-type", "unit_test")
    return warehouse


def read_account(warehouse: Path, account: str) -> list[tuple]:
    """Team, step and effective USD of an account."""
    return read_rows(
        warehouse,
        "select team_id, allocation_step, sum(effective_cost_usd)::decimal(18, 3)::varchar "
        f"from marts.fct_cost_ledger where billing_account_id = '{account}' group by all order by all",
    )


@pytest.mark.parametrize(
    ("account", "expected"),
    [
        # Two groups of one node and hour, told apart by one dimension alone: both are split whole.
        ("two-subcategories", [("research", "held", "5.000"), ("unallocated", "idle", "5.000")]),
        # The tax leaves `shared` for the only other charge of its account.
        (
            "separators",
            [("shared", "shared", "0.000"), ("untagged", "shared", "1.000"), ("untagged", "unallocated", "1.000")],
        ),
        ("broken-tags", [("untagged", "unallocated", "1.000")]),
        ("quoted-tags", [("quoted", "direct", "1.000")]),
        ("no-traffic", [("buyers", "direct", "1.000")]),
        # A dollar a day; the gateway saw traffic on the 2nd alone.
        ("month-of-tokens", [("unknown", "unallocated", "30.000"), ("web", "token", "1.000")]),
        ("handed-over", [("first", "direct", "15.000"), ("second", "direct", "16.000")]),
        # The hourly answer says 1 : 3; the daily one, of the same hours, is not heard beside it.
        ("two-windows", [("research", "held", "1.000"), ("unallocated", "idle", "3.000")]),
        ("by-controller", [("research", "held", "3.000"), ("web", "held", "1.000")]),
        ("no-cluster", [("web", "held", "1.000")]),
        # 9 idle beside 3 held, told by cluster: three quarters of every node.
        ("cluster-idle", [("unallocated", "idle", "9.000"), ("web", "held", "3.000")]),
        # Neither path ends in a name, so they are not one machine.
        ("no-node", [("untagged", "unallocated", "1.000")]),
    ],
)
def test_a_hard_charge_lands_where_it_should(ledger: Path, account: str, expected: list[tuple]) -> None:
    assert read_account(ledger, account) == expected


def test_a_long_charge_is_spread_over_its_days_and_a_single_one_is_not(ledger: Path) -> None:
    days = read_rows(
        ledger,
        "select billing_account_id, usage_date, sum(billed_cost_usd) from marts.fct_cost_ledger "
        "where billing_account_id in ('month-of-tokens', 'once') group by all order by all",
    )
    assert [row[1] for row in days] == [*DAYS[OCTOBER], OCTOBER]
    assert {row[2] for row in days[:-1]} == {Decimal(1), Decimal("1.000000001")}
    assert sum(row[2] for row in days[:-1]) == Decimal("31.000000001")


def test_idle_told_by_cluster_is_an_estimate(ledger: Path) -> None:
    assert read_rows(
        ledger,
        "select distinct is_estimate from marts.fct_cost_ledger "
        "where billing_account_id = 'cluster-idle' and allocation_step = 'idle'",
    ) == [(True,)]


def test_a_virtual_currency_is_money_by_its_rate_and_without_one_it_waits(ledger: Path) -> None:
    assert read_account(ledger, "credits") == [("untagged", "unallocated", "10.000")]
    assert read_account(ledger, "units") == []
    steps = read_rows(
        ledger,
        "select billing_account_id, step, cause, currency_code, billed_cost_local, billed_cost_usd "
        "from marts.fct_reconciliation where billing_account_id in ('credits', 'units') "
        "and (currency_code != 'USD' and step != 'fx_effect' or step = 'residual') order by all",
    )
    assert steps == [
        ("credits", "delivered", "rate_known", "Credits", 4, 10),
        ("credits", "residual", "delivered_minus_allocated", "USD", None, 0),
        ("units", "delivered", "no_fx_rate", "DBU", 7, None),
        ("units", "held_back", "no_fx_rate", "DBU", -7, None),
    ]


def test_the_effect_of_the_rate_is_told_where_the_bill_has_one_of_its_own(ledger: Path) -> None:
    effects = read_rows(
        ledger,
        "select billing_account_id, cause, effective_cost_local, effective_cost_usd from marts.fct_reconciliation "
        "where step = 'fx_effect' and billing_account_id in ('credits', 'euros', 'handed-over', 'units') order by all",
    )
    # 90 EUR at 1.10 are 99 USD; nobody knows of the other 10, nor what a credit of the bill is in USD.
    assert effects == [
        ("credits", "invoice_states_no_usd", 4, None),
        ("euros", "invoice_states_no_usd", 10, None),
        ("euros", "invoice_states_usd", 90, -1),
        ("handed-over", "billed_in_usd", 31, 0),
    ]


def _month(period: date, **columns: object) -> list[dict[str, object]]:
    """A bill: two hours of a node that two accounts' months share a day of, a month's fee, an unused commitment."""
    hours = [datetime.combine(period, datetime.min.time()), datetime(2026, 9, 30, 23)]
    return [
        *(
            node_charge("a", "i-1", 3, charge_period_start=hour, charge_period_end=hour + timedelta(hours=1))
            for hour in dict.fromkeys(hours)
        ),
        charge(
            charge_frequency="Recurring",
            charge_period_start=hours[0],
            charge_period_end=hours[0] + timedelta(days=30),
            effective_cost=Decimal("10"),
        ),
        charge(commitment_discount_id="sp-1", commitment_discount_status="Unused"),
        charge(
            provider_name="Mistral AI",
            service_subcategory="Generative AI",
            charge_period_start=datetime.combine(period, datetime.min.time()),
            charge_period_end=datetime.combine(period + timedelta(days=1), datetime.min.time()),
        ),
    ]


def _bill(period: date) -> list[dict[str, object]]:
    return [line | {"billing_period_date": period} for line in _month(period)]


def _node_hour(hour: datetime) -> list[dict[str, object]]:
    span = {"window_start_at": hour, "started_at": hour, "usage_date": hour.date()}
    span |= {"window_end_at": hour + timedelta(hours=1), "ended_at": hour + timedelta(hours=1)}
    return [
        node_allocation("i-1", "workload", "train-0", 1, **span),
        node_allocation("i-1", "idle", None, 2, **span),
    ]


TELEMETRY: dict[str, list[dict[str, object]]] = {
    "opencost_allocations": [
        *_node_hour(datetime(2026, 9, 1)),
        *_node_hour(datetime(2026, 9, 30, 23)),
        *_node_hour(datetime(2026, 10, 1)),
    ],
    "litellm_requests": [request(1, datetime(2026, 9, 1, 5)), request(2, datetime(2026, 10, 1, 5))],
}


def _build_chain(
    warehouse: Path, landed: Mapping[str, list[dict[str, object]]], periods: Iterable[date]
) -> dict[str, Counter[tuple]]:
    """Land, rebuild some periods, and read every table of the chain."""
    write_landing(warehouse, {"config_owners": LANDED["config_owners"]} | dict(landed))
    touch(warehouse, periods)
    run_dbt(warehouse, "run", "--select", *(f"+{table.partition('.')[2]}" for table in CHAIN))
    return {table: Counter(read_rows(warehouse, f"select * from {table} order by all")) for table in CHAIN}


@pytest.mark.long
def test_periods_and_telemetry_in_any_order_equal_all_at_once_and_a_lost_period_empties(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    warehouse = tmp_path_factory.mktemp("orders") / "warehouse.duckdb"
    both, telemetry = [*_bill(SEPTEMBER), *_bill(OCTOBER)], TELEMETRY
    write_landing(warehouse, {})
    run_dbt(warehouse, "seed")
    all_at_once = _build_chain(warehouse, telemetry | {"focus_charges": both}, DAYS)
    assert all(all_at_once.values())

    warehouse.unlink()
    write_landing(warehouse, {})
    run_dbt(warehouse, "seed")
    october = _build_chain(warehouse, telemetry | {"focus_charges": _bill(OCTOBER)}, [OCTOBER, SEPTEMBER])
    bills_apart = _build_chain(warehouse, telemetry | {"focus_charges": both}, [SEPTEMBER])
    assert bills_apart == all_at_once
    # September's bill is withdrawn: only what October says is left.
    assert _build_chain(warehouse, telemetry | {"focus_charges": _bill(OCTOBER)}, [SEPTEMBER]) == october
    # Telemetry is lost and comes back: the periods that allocate over its days are split anew.
    without = _build_chain(warehouse, {"focus_charges": both}, DAYS)
    assert without["marts.fct_cost_ledger"] != all_at_once["marts.fct_cost_ledger"]
    assert _build_chain(warehouse, telemetry | {"focus_charges": both}, DAYS) == all_at_once
