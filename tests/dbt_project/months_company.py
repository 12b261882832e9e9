"""A small company of three months that have everything which crosses a month: its landing tables, object by object.

October is what the tests of the models know; September and November are October moved, so that each month has the
same hard cases. What looks over the months' edges comes on top.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Final

from ingest.allocation_policies import list_default_rows
from tests.dbt_project import test_allocation_policies as policies
from tests.dbt_project import test_charge_chain as chain
from tests.dbt_project import test_gateway_reconciliation as gateway
from tests.dbt_project import test_own_charges as own
from tests.dbt_project.lake_home import Arrival
from tests.dbt_project.test_laws import charge

Row = dict[str, object]

MOVES: Final = {"september": timedelta(days=-30), "october": timedelta(0), "november": timedelta(days=31)}
_SCENARIOS: Final[Sequence[Mapping[str, Sequence[Mapping[str, object]]]]] = (
    policies.LANDED,
    chain.LANDED,
    gateway.LANDED,
    own.LANDED,
)
_BILLS: Final = "focus_charges"
_LOGS: Final = ("opencost_allocations", "dcgm_samples", "litellm_requests", "provider_results")
_TEAM: Final = json.dumps({"team": "research"})


def _month(month: str) -> date:
    return date(2026, {"september": 9, "october": 10, "november": 11}[month], 1)


def _move(row: Mapping[str, object], delta: timedelta) -> Row:
    """A row at another time."""
    return {name: value + delta if isinstance(value, date) else value for name, value in row.items()}


def _gather(table_name: str) -> list[Row]:
    """October's rows of a table, of all scenarios, each told apart by its scenario where ids would meet."""
    return [
        {**row, **{name: f"{number}-{row[name]}" for name in ("request_id", "litellm_call_id") if name in row}}
        for number, scenario in enumerate(_SCENARIOS)
        for row in scenario.get(table_name, [])
    ]


def _hour(start: datetime) -> dict[str, object]:
    return {"charge_period_start": start, "charge_period_end": start + timedelta(hours=1)}


def _own_project(month: date) -> Row:
    """A day of an API model in a project that an owner rule knows."""
    start = datetime.combine(month, datetime.min.time()) + timedelta(days=1)
    span = {"charge_period_start": start, "charge_period_end": start + timedelta(days=1)}
    return gateway.bill("Told", "4", sub_account_id="project-1") | span


def _takes_back(month: date) -> list[Row]:
    """What credits, and leaves unused, what the month before was charged."""
    start = datetime.combine(month, datetime.min.time())
    return [
        charge(resource_id="disk-9", charge_category="Credit", effective_cost=Decimal(-10)) | _hour(start),
        charge(commitment_discount_id="sp-9", commitment_discount_status="Unused") | _hour(start),
    ]


def list_bill(month: str) -> list[Row]:
    """The bill of a month. What November's says of a resource and of the last night of October refers back."""
    first_day = _month(month)
    midnight = datetime.combine(first_day, datetime.min.time())
    night = (midnight + timedelta(days=31)).replace(day=1) - timedelta(hours=2)
    lines = [_move(row, MOVES[month]) for row in _gather(_BILLS)]
    lines += [_own_project(first_day), charge(resource_id="disk-9", tags=_TEAM) | _hour(night)]
    lines += [charge(charge_category="Purchase", commitment_discount_id="sp-9", tags=_TEAM) | _hour(night)]
    if month == "october":
        lines += [chain.node_charge("night", "i-night", 3, **_hour(night))]
    if month == "november":
        late = midnight - timedelta(hours=1)
        lines += [*_takes_back(first_day), chain.node_charge("night", "i-night", 5, **_hour(late))]
    return [{**row, "billing_period_date": first_day} for row in lines]


def list_logs(table_name: str, month: str) -> dict[date, list[Row]]:
    """What a log or an export of telemetry tells of a month, by day."""
    rows = [_move(row, MOVES[month]) for row in _gather(table_name)]
    if table_name == "provider_results":
        rows = [row for row in rows if not row.get("is_batch") and "_object" not in row]
        rows += [row | {"project_id": "project-1"} for row in rows if row["report"] == "usage"]
    if table_name == "opencost_allocations":
        rows += _cross_midnight(_month(month))
    if table_name == "dcgm_samples":
        rows += [row | _of_the_last_night(row, month) for row in rows]
    days: dict[date, list[Row]] = {}
    for row in rows:
        day = row["usage_date"]
        assert isinstance(day, date)
        days.setdefault(day, []).append(row)
    return days


def _of_the_last_night(row: Row, month: str) -> Row:
    """The same reading half an hour before the month."""
    sampled_at = row["sampled_at"]
    assert isinstance(sampled_at, datetime)
    value = row["value"]
    assert isinstance(value, float)
    moved_at = sampled_at - timedelta(minutes=90)
    return {"sampled_at": moved_at, "usage_date": moved_at.date(), "value": value - 90 * 30_000_000.0 + 10**10}


def _cross_midnight(month: date) -> list[Row]:
    """A window of a day from noon to noon that begins in the month before."""
    noon = datetime.combine(month, datetime.min.time()) - timedelta(hours=12)
    span = {"window_start_at": noon, "started_at": noon, "usage_date": noon.date()}
    span |= {"window_end_at": noon + timedelta(days=1), "ended_at": noon + timedelta(days=1)}
    return [
        chain.node_allocation("i-night", "workload", "train-0", 24, gpu_hours=24, **span),
        chain.node_allocation("i-night", "workload", "serve-0", 8, namespace="shop", **span),
        chain.node_allocation("i-night", "idle", None, 24, **span),
    ]


def _owners() -> list[Row]:
    """The owner rules of all scenarios, one for a thing and time."""
    rules = _facts("config_owners")
    rules.append({"rule_id": "p1", "match_on": "account", "match_value": "project-1", "team_id": "web", "priority": 1})
    keys = ("match_on", "match_key", "match_value", "valid_from")
    return list({tuple(rule.get(key) for key in keys): rule for rule in rules}.values())


def _facts(name: str) -> list[Row]:
    return [dict(row) for scenario in _SCENARIOS for row in scenario.get(name, [])]


def _distinct(rows: Iterable[Row], *keys: str) -> list[Row]:
    return list({tuple(row.get(key) for key in keys): row for row in rows}.values())


def config() -> dict[str, dict[str, list[Row]]]:
    """The company's facts and prices, which stay as they are."""
    return {
        "config_owners": {"owners.csv": _owners()},
        "config_fx_rates": {
            "fx_rates.csv": _distinct(_facts("config_fx_rates"), "currency_code", "to_currency_code"),
        },
        "config_facilities": {"facilities.csv": _facts("config_facilities")},
        "config_tariffs": {"tariffs.csv": _facts("config_tariffs")},
        "config_owned_hardware": {"owned_hardware.csv": _facts("config_owned_hardware")},
        "config_price_overrides": {"price_overrides.csv": _facts("config_price_overrides")},
        "config_rate_cards": {
            "rate_cards.csv": [{"cluster": "*", "gpu_model": "*", "usd_per_gpu_hour": Decimal("2.5")}],
        },
        "config_quotas": {"quotas.csv": _facts("config_quotas")},
        "config_adjustments": {"adjustments.csv": _facts("config_adjustments")},
        "config_allocation_policies": {
            "policies.yml": [
                *(row for policy in policies.POLICIES for row in policy.to_rows()),
                *list_default_rows(policies.POLICIES),
            ]
        },
        "llm_prices": {"prices": _facts("llm_prices")},
    }


def list_objects(months: Iterable[str]) -> list[Arrival]:
    """Every object that comes in those months, one an arrival: a bill each, and a log for each day."""
    found: list[Arrival] = []
    for month in months:
        found.append({_BILLS: {f"bill-{month}.csv": list_bill(month)}})
        for table_name in _LOGS:
            for day, rows in list_logs(table_name, month).items():
                found.append({table_name: {f"{table_name}-{month}-{day}.json": rows}})
    return found
