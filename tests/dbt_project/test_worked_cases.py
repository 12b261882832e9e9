"""Worked cases of bugs that other systems had, in one small warehouse: days of every zone and length, prices of the
real book and a price that changes, counters that stand still or are scraped twice."""

from collections import defaultdict
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo, available_timezones

import duckdb
import pytest

from ingest.reference.llm_prices import price_book
from tests.dbt_project.small_warehouse import read_rows, run_dbt, touch_days, write_landing
from tests.dbt_project.test_laws import allocation, charge

pytestmark = pytest.mark.slow

CHANGEOVERS = [date(2026, 3, 8), date(2026, 3, 29), date(2026, 10, 25), date(2026, 11, 1)]
"""Days on which clocks change, in New York or in Berlin."""
NODE_DAYS = [day + timedelta(days=offset) for day in CHANGEOVERS for offset in range(-2, 3)]
GPU_DAY = date(2026, 10, 1)
MODELS = (
    "+fct_cost_ledger",
    "+int_charges__node_days",
    "+fct_unit_costs_daily",
    "+fct_gpu_state_hours",
    "+fct_gpu_energy_hourly",
)

CALLS = {
    # BerriAI/litellm#14849: over 200,000 tokens, so 2.50 / 0.25 / 15 USD per million: 5,005 x 2.50 + 257,955 x 0.25
    # + 1,744 x 15 = 103,161.25 micro-USD.
    ("gemini", "gemini-2.5-pro"): ((262_960, 257_955, 1_744, 0), Decimal("0.103161250")),
    # 3,914 x 0.50 + 16,298 x 0.05 + 931 x 3 = 5,564.9 micro-USD.
    ("gemini", "gemini-3-flash-preview"): ((20_212, 16_298, 931, 0), Decimal("0.005564900")),
    # BerriAI/litellm#18599: reasoning is part of the 482, 100 x 0.05 + 482 x 0.40 = 197.8 micro-USD.
    ("openai", "gpt-5-nano"): ((100, 0, 482, 448), Decimal("0.000197800")),
    # A model that no book knows, and a stream that ended without usage: null with a reason, never 0.
    ("openai", "nobody-sells-this"): ((1_000, 0, 10, 0), None),
    ("openai", "gpt-4o"): ((None, None, None, None), None),
}


def gateway_call(
    provider: str, model: str, tokens: tuple[int | None, ...], day: date = GPU_DAY, number: int = 0
) -> dict[str, object]:
    prompt, cached, completion, reasoning = tokens
    return {
        "request_id": f"{model}-{day}-{number}",
        "status": "success",
        "provider": provider,
        "model": model,
        "api_key_alias": "k",
        "usage_status": "reported" if prompt is not None else "missing",
        "started_at": datetime.combine(day, datetime.min.time()),
        "prompt_tokens": prompt,
        "cache_read_tokens": cached,
        "completion_tokens": completion,
        "reasoning_tokens": reasoning,
        "usage_date": day,
        "_object": "log",
        "_position": number,
    }


def prices(change_date: date | None) -> list[dict[str, object]]:
    """The real book for the calls, and an own model at 1 USD per million, at 2 from `change_date` on."""
    book = price_book(CALLS).to_pylist()
    own = [(None, change_date, Decimal(1)), *([(change_date, None, Decimal(2))] if change_date else [])]
    return book + [
        {"price_id": f"{token_class}-{usd_per_mtok}", "provider": "openai", "model": "in-house", "price_book": "own"}
        | {"token_class": token_class, "tier_start_tokens": 0, "usd_per_mtok": usd_per_mtok}
        | {"valid_from": valid_from, "valid_to": valid_to}
        for valid_from, valid_to, usd_per_mtok in own
        for token_class in ("input", "output")
    ]


def gpu_samples() -> list[dict[str, object]]:
    """A day at 5 minutes of four cards: `steady` is scraped twice, `frozen` has a counter that stands still at 300 W,
    `gap` is not seen from 06:00 to 09:00, `strange` is a model that no list knows."""
    rows: list[dict[str, object]] = []
    for step in range(288):
        sampled_at = datetime.combine(GPU_DAY, datetime.min.time()) + timedelta(minutes=5 * step)
        for gpu, copies in (("steady", 2), ("frozen", 1), ("gap", 1), ("strange", 1)):
            if gpu == "gap" and 6 <= sampled_at.hour < 9:
                continue
            for metric, value in (
                ("DCGM_FI_PROF_SM_ACTIVE", 0.9),
                # 300 W for 5 minutes are 90 J.
                ("DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION", 7.0 if gpu == "frozen" else 90_000_000.0 * step + 7),
                ("DCGM_FI_DEV_POWER_USAGE", 300.0),
            ):
                rows += [
                    {
                        "sampled_at": sampled_at,
                        "metric": metric,
                        "value": value,
                        "gpu_uuid": gpu,
                        "model_name": "Cerberus 9" if gpu == "strange" else "NVIDIA H100 80GB HBM3",
                        "hostname": "gpu-1",
                        "cluster": "c1",
                        "namespace": "ml",
                        "pod": "train-0",
                        "usage_date": GPU_DAY,
                    }
                ] * copies
    return rows


def node_rows() -> dict[str, list[dict[str, object]]]:
    """A node of 1 USD an hour, billed by the UTC day, held by one pod throughout."""
    days = [(datetime.combine(day, datetime.min.time()), day) for day in NODE_DAYS]
    charges = [
        charge(
            resource_id="i-1",
            charge_period_start=start_at,
            charge_period_end=start_at + timedelta(days=1),
            billed_cost=Decimal(24),
            effective_cost=Decimal(24),
            billing_period_date=day.replace(day=1),
        )
        for start_at, day in days
    ]
    allocations = [
        allocation("workload", "p", "1")
        | {"node": "i-1", "window_start_at": start_at, "window_end_at": start_at + timedelta(days=1)}
        | {"started_at": start_at, "ended_at": start_at + timedelta(days=1), "usage_date": day}
        for start_at, day in days
    ]
    return {"focus_charges": charges, "opencost_allocations": allocations}


def land(warehouse: Path, change_date: date | None) -> None:
    half_months = [GPU_DAY + timedelta(days=offset) for offset in (0, 14, 15, 30)]
    write_landing(
        warehouse,
        node_rows()
        | {
            "litellm_requests": [gateway_call(*model, tokens) for model, (tokens, _) in CALLS.items()]
            + [gateway_call("openai", "in-house", (10, 0, 1_000_000, 0), day, 1) for day in half_months],
            "llm_prices": prices(change_date),
            "dcgm_samples": gpu_samples(),
        },
    )
    touch_days(warehouse, {*NODE_DAYS, *half_months})
    with duckdb.connect(str(warehouse)) as connection:
        months = sorted({day.replace(day=1) for day in NODE_DAYS})
        connection.executemany("insert into raw.touched_periods values (?)", [[month] for month in months])


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Everything built by a process whose own zone is half an hour off: it must not matter."""
    warehouse = tmp_path_factory.mktemp("worked") / "warehouse.duckdb"
    land(warehouse, change_date=None)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TZ", "Asia/Kolkata")
        run_dbt(warehouse, "build", "--select", *MODELS, "--resource-type", "model", "--resource-type", "seed")
    return warehouse


@pytest.fixture(scope="module")
def hours(warehouse: Path) -> dict[datetime, Decimal]:
    """USD of the node by UTC hour."""
    rows = read_rows(
        warehouse, "select usage_hour_at, sum(effective_cost_usd) from intermediate.int_charges__held_hours group by 1"
    )
    return {hour_at.replace(tzinfo=UTC): usd for hour_at, usd in rows}


def by_local_day(hours: dict[datetime, Decimal], zone: str) -> dict[date, Decimal]:
    days: dict[date, Decimal] = defaultdict(Decimal)
    for hour_at, usd in hours.items():
        days[hour_at.astimezone(ZoneInfo(zone)).date()] += usd
    return days


def test_a_24_hour_node_has_24_hours_on_every_utc_day(warehouse: Path, hours: dict[datetime, Decimal]) -> None:
    # opencost/opencost#3164: a full day showed 23.91667 h.
    counted = read_rows(warehouse, "select usage_date, billed_hour_count from intermediate.int_charges__node_days")
    assert sorted(counted) == [(day, 24) for day in sorted(NODE_DAYS)]
    assert len(hours) == 24 * len(NODE_DAYS)
    ledger = read_rows(
        warehouse,
        "select usage_date, team_id, sum(effective_cost_usd) from marts.fct_cost_ledger "
        "where cost_pool = 'cluster_nodes' group by all order by all",
    )
    assert ledger == [(day, "untagged", Decimal(24)) for day in sorted(NODE_DAYS)]


def test_local_days_of_every_zone_add_up_to_the_whole(hours: dict[datetime, Decimal]) -> None:
    # BerriAI/litellm#29568: five days in Indian time were 152% of their sum. Troll's clocks change by two hours.
    for zone in sorted(available_timezones()):
        days = by_local_day(hours, zone)
        assert sum(days.values()) == 24 * len(NODE_DAYS), zone
        assert max(days.values()) <= 26, zone


@pytest.mark.parametrize(
    ("zone", "day", "length"),
    [
        ("America/New_York", CHANGEOVERS[0], 23),
        ("Europe/Berlin", CHANGEOVERS[1], 23),
        ("Europe/Berlin", CHANGEOVERS[2], 25),
        ("America/New_York", CHANGEOVERS[3], 25),
        ("Asia/Kolkata", CHANGEOVERS[3], 24),
    ],
)
def test_a_day_on_which_the_clocks_change_is_as_long_as_it_is(
    hours: dict[datetime, Decimal], zone: str, day: date, length: int
) -> None:
    assert by_local_day(hours, zone)[day] == length


@pytest.mark.parametrize("model", CALLS, ids=lambda model: model[1])
def test_a_call_costs_what_it_was_worked_to_cost_at_the_real_price_book(
    warehouse: Path, model: tuple[str, str]
) -> None:
    ((cost, reason),) = read_rows(
        warehouse,
        "select calculated_cost_usd, unpriced_reason from marts.fct_unit_costs_daily "
        f"where model_id = '{model[1]}' and usage_date = '{GPU_DAY}'",
    )
    assert cost == CALLS[model][1]
    assert reason == {"nobody-sells-this": "no_price", "gpt-4o": "missing_usage"}.get(model[1])


def test_a_gpu_day_is_24_gpu_hours_and_what_was_not_seen_is_unknown(warehouse: Path) -> None:
    states = read_rows(
        warehouse,
        "select gpu_uuid, gpu_state, sum(gpu_hours) from marts.fct_gpu_state_hours group by all order by all",
    )
    totals: dict[str, Decimal] = defaultdict(Decimal)
    for gpu, _, gpu_hours in states:
        totals[gpu] += gpu_hours
    assert totals == dict.fromkeys(("steady", "frozen", "gap", "strange"), Decimal(24))
    unseen = {gpu: gpu_hours for gpu, state, gpu_hours in states if state == "unknown"}
    # The sample of 05:55 speaks for its own 5 minutes, so the whole gap is unknown.
    assert unseen == {"gap": Decimal(3)}


def test_energy_of_a_frozen_counter_is_power_by_time_and_a_scrape_told_twice_counts_once(warehouse: Path) -> None:
    rows = read_rows(
        warehouse,
        "select gpu_uuid, energy_source, sum(gpu_kwh), count(*) from marts.fct_gpu_energy_hourly "
        "group by all order by all",
    )
    energy = {(gpu, source): (kwh, count) for gpu, source, kwh, count in rows}
    # 287 steps of 90 kJ are 7.175 kWh; 24 hours of 300 W are 7.2.
    assert energy["steady", "counter"] == (Decimal("7.175"), 24)
    assert energy["strange", "counter"] == (Decimal("7.175"), 24)
    assert energy["frozen", "power_integral"] == (Decimal("7.2"), 24)
    # The counter ran on unseen: what it counted between 05:55 and 09:00 is divided over those hours.
    assert energy["gap", "counter"] == (Decimal("7.175"), 24)


def test_an_unknown_gpu_keeps_its_own_name(warehouse: Path) -> None:
    assert read_rows(
        warehouse, "select distinct gpu_model from marts.fct_gpu_state_hours where gpu_uuid = 'strange'"
    ) == [("Cerberus 9",)]


def test_a_price_that_changes_in_the_middle_of_a_month_leaves_the_days_before_as_they_were(warehouse: Path) -> None:
    own_model = (
        "select usage_date, price_set_id, calculated_cost_usd from intermediate.int_tokens__requests "
        "where model_id = 'in-house' order by 1"
    )
    before = read_rows(warehouse, own_model)
    assert [row[2] for row in before] == [Decimal("1.000010000")] * 4
    land(warehouse, change_date=GPU_DAY + timedelta(days=15))
    run_dbt(warehouse, "run", "--select", "+int_tokens__requests")
    after = read_rows(warehouse, own_model)
    assert after[:2] == before[:2]
    assert [row[2] for row in after[2:]] == [Decimal("2.000020000")] * 2
    assert {row[1] for row in after[2:]}.isdisjoint({row[1] for row in before})
