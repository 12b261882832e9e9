"""No number that lands makes a build fail: the ends of every range, and whatever an earlier version let in."""

from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import pytest

from ingest.contracts import landing_tables
from ingest.landing_table import LandingTable
from ingest.raw_views import keep_in_range_sql
from tests.dbt_project.extreme_rows import list_landed_tables, list_range_extremes, list_rows, list_type_extremes
from tests.dbt_project.small_warehouse import NodeResult, touch_days, try_dbt, write_landing

Extremes = Callable[[LandingTable, str, Any, str | None], list[Any]]


def build(warehouse: Path, extremes: Extremes) -> tuple[str, list[NodeResult]]:
    """Every model over rows that each have one extreme value, seen as `ingest.raw_views` shows them."""
    write_landing(warehouse, {name: list_rows(table, extremes) for name, table in list_landed_tables().items()})
    touch_days(warehouse, [date(2026, 10, day) for day in range(1, 32)])
    with duckdb.connect(str(warehouse)) as connection:
        connection.execute("insert into raw.touched_periods values (date '2026-10-01')")
        for name, table in landing_tables().items():
            sql = keep_in_range_sql(table, f"select * from raw.{name}")
            connection.execute(f"create or replace table raw.{name} as {sql}")
    return try_dbt(warehouse, "build", "--exclude", "resource_type:unit_test", "resource_type:test")


@pytest.mark.parametrize(
    "extremes",
    [
        pytest.param(
            lambda table, name, kind, metric: list_range_extremes(table, name, metric),
            id="ends of ranges",
            marks=pytest.mark.slow,
        ),
        pytest.param(
            lambda table, name, kind, metric: list_type_extremes(kind), id="ends of types", marks=pytest.mark.long
        ),
    ],
)
def test_no_number_makes_a_model_fail(tmp_path: Path, extremes: Extremes):
    failed, results = build(tmp_path / "warehouse.duckdb", extremes)
    wrong = [result.unique_id for result in results if result.status != "success"]
    assert not wrong, failed[-6000:]
    assert any(result.unique_id.endswith("fct_cost_ledger") for result in results)
