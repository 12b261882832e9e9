"""Days of GPU and token models rebuilt one by one, in any order, equal all days built at once (law 11)."""

from collections import Counter
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from tests.dbt_project.small_warehouse import read_rows, run_dbt, touch_days, write_landing

pytestmark = pytest.mark.slow

FIRST_DAY = date(2026, 5, 4)
DAYS = [FIRST_DAY + timedelta(days=offset) for offset in range(3)]
TABLES = (
    "marts.fct_unit_costs_daily",
    "marts.fct_gpu_state_hours",
    "marts.fct_gpu_energy_hourly",
    "intermediate.int_tokens__requests",
    "intermediate.int_tokens__consumer_days",
    "intermediate.int_tokens__used_models",
    "intermediate.int_tokens__model_prices",
    "intermediate.int_tokens__rates",
    "intermediate.int_tokens__price_sets",
    "intermediate.int_gpu__energy_pairs",
    "intermediate.int_gpu__energy_hours",
    "intermediate.int_gpu__pod_starts",
)


def _samples(day: date) -> list[dict[str, object]]:
    """One GPU each 20 minutes, its counter running on over midnight and restarting at noon of each day."""
    rows: list[dict[str, object]] = []
    for step in range(72):
        sampled_at = datetime.combine(day, datetime.min.time()) + timedelta(minutes=20 * step + 7)
        since_restart = step - 36 if step >= 36 else step + 36
        for metric, value in (
            ("DCGM_FI_PROF_SM_ACTIVE", 0.9 if step % 3 else 0.01),
            ("DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION", 360_000_000.0 * since_restart + 1000),
        ):
            rows.append(
                {
                    "sampled_at": sampled_at,
                    "metric": metric,
                    "value": value,
                    "gpu_uuid": "GPU-1",
                    "model_name": "NVIDIA H100 80GB HBM3",
                    "hostname": "gpu-1",
                    "cluster": "c1",
                    "namespace": "ml" if step % 4 else None,
                    "pod": f"train-{step % 2}" if step % 4 else None,
                    "usage_date": day,
                }
            )
    return rows


def _pods(day: date) -> list[dict[str, object]]:
    """A pod of each day that is on its node at 00:05, and whose container runs at 03:00; dumped at noon."""
    midnight = datetime.combine(day, datetime.min.time())
    return [
        {
            "observed_at": midnight + timedelta(hours=12),
            "cluster": "c1",
            "pod_uid": f"train-1-{day}",
            "namespace": "ml",
            "pod": "train-1",
            "phase": "Running",
            "gpu_requests": "{}",
            "created_at": midnight,
            "scheduled_at": midnight + timedelta(minutes=5),
            "first_container_started_at": midnight + timedelta(hours=3),
            "usage_date": day,
        }
    ]


def _requests(day: date) -> list[dict[str, object]]:
    """40 calls, each logged twice; every fifth stream ends without usage."""
    return [
        {
            "request_id": f"{day}-{call}",
            "litellm_call_id": f"{day}-{call}",
            "status": "success",
            "provider": "openai",
            "model": "gpt-x" if call % 3 else "own-model",
            "api_key_alias": f"key-{call % 2}",
            "request_tags": '["app:chat"]',
            "usage_status": "missing" if call % 5 == 0 else "reported",
            "started_at": datetime.combine(day, datetime.min.time()) + timedelta(minutes=30 * call),
            "prompt_tokens": None if call % 5 == 0 else 100 + call,
            "completion_tokens": None if call % 5 == 0 else 7,
            "usage_date": day,
            "_object": "log",
            "_position": 2 * call + copy,
        }
        for call in range(40)
        for copy in range(2)
    ]


def _write(warehouse: Path, days: list[date]) -> None:
    write_landing(
        warehouse,
        {
            "dcgm_samples": [row for day in days for row in _samples(day)],
            "kube_pods": [row for day in days for row in _pods(day)],
            "litellm_requests": [row for day in days for row in _requests(day)],
            "llm_prices": [
                {
                    "price_id": token_class,
                    "provider": "openai",
                    "model": "gpt-x",
                    "token_class": token_class,
                    "tier_start_tokens": 0,
                    "usd_per_mtok": Decimal("1.25"),
                    "price_book": "test",
                }
                for token_class in ("input", "output")
            ],
            "config_owners": [
                {"rule_id": "1", "match_on": "key", "match_value": "key-0", "team_id": "chat", "priority": 1},
                {"rule_id": "2", "match_on": "namespace", "match_value": "ml", "team_id": "ml", "priority": 1},
            ],
            "config_facilities": [{"facility_id": "dc", "hostname_pattern": "gpu-%", "pue": Decimal("1.3")}],
            "config_tariffs": [{"facility_id": "dc", "usd_per_kwh": Decimal("0.12")}],
        },
    )


def _build(warehouse: Path, touched: list[date]) -> None:
    touch_days(warehouse, touched)
    selection = " ".join(f"+{table.partition('.')[2]}" for table in TABLES)
    run_dbt(warehouse, "run", "--select", selection)


def _rows(warehouse: Path) -> dict[str, Counter[tuple]]:
    return {table: Counter(read_rows(warehouse, f"select * from {table} order by all")) for table in TABLES}


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The one path that dbt builds at, so that the project is parsed once."""
    return tmp_path_factory.mktemp("days") / "warehouse.duckdb"


@pytest.fixture(scope="module")
def full(warehouse: Path) -> Path:
    """All days built at once, put aside."""
    _write(warehouse, DAYS)
    run_dbt(warehouse, "seed")
    _build(warehouse, DAYS)
    return warehouse.rename(warehouse.with_name("full.duckdb"))


@pytest.mark.long
def test_days_landed_in_any_order_and_emptied_again_equal_all_days_at_once(full: Path, warehouse: Path) -> None:
    # The day in the middle comes last: its neighbours' counters must then be joined over both midnights.
    first, last, middle = DAYS[0], DAYS[2], DAYS[1]
    _write(warehouse, [last])
    run_dbt(warehouse, "seed")
    _build(warehouse, [last])
    _write(warehouse, [last, first])
    _build(warehouse, [first])
    without_middle = _rows(warehouse)
    _write(warehouse, DAYS)
    _build(warehouse, [middle])
    rows, expected = _rows(warehouse), _rows(full)
    for table in TABLES:
        assert rows[table], table
        assert rows[table] == expected[table], table
    _write(warehouse, [last, first])
    _build(warehouse, [middle])
    emptied = _rows(warehouse)
    for table in TABLES:
        assert emptied[table] == without_middle[table], table


def test_energy_of_three_days_is_what_the_counter_counted(full: Path) -> None:
    # A day has 71 steps of 360 kJ (300 W for 20 min), but for the one at noon where the counter restarts at 1,000 mJ:
    # 70 steps a day, 2 midnights, 3 restarts.
    expected_millijoules = (3 * 70 + 2) * 360_000_000 + 3 * 1_000
    [(counted,)] = read_rows(full, "select sum(counter_millijoules) from intermediate.int_gpu__energy_hours")
    assert counted == expected_millijoules
    [(resets,)] = read_rows(full, "select sum(counter_reset_count) from marts.fct_gpu_energy_hourly")
    assert resets == 3


def test_a_call_logged_twice_counts_once(full: Path) -> None:
    rows = read_rows(
        full,
        "select sum(request_count), sum(missing_usage_request_count), sum(unpriced_request_count), "
        "sum(calculated_cost_usd) from marts.fct_unit_costs_daily",
    )
    # Each fifth call has no usage and each third no price.
    priced = [call for call in range(40) if call % 5 and call % 3]
    cost = sum(Decimal(100 + call + 7) * Decimal("1.25") / 1_000_000 for call in priced) * 3
    assert rows == [(120, 24, 120 - 3 * len(priced), cost)]


def test_a_pod_starts_until_its_container_runs(full: Path) -> None:
    # Held at 00:27, 01:07, 01:47 and 02:27 by a container that runs from 03:00: 20 minutes each, worked or not.
    found = read_rows(
        full,
        """select usage_date, pod, cast(sum(gpu_hours) as decimal(18, 6))
        from marts.fct_gpu_state_hours where gpu_state = 'starting' group by all order by all""",
    )
    assert found == [(day, "train-1", Decimal("1.333333")) for day in DAYS]
