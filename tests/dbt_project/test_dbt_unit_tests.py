"""The models' unit tests, whose numbers were worked by hand, on a warehouse whose relations are empty."""

from pathlib import Path

import pytest

from tests.dbt_project.small_warehouse import run_dbt, write_landing


@pytest.mark.slow
def test_every_dbt_unit_test_holds(tmp_path: Path):
    warehouse = tmp_path / "warehouse.duckdb"
    write_landing(warehouse, {})
    run_dbt(warehouse, "seed")
    run_dbt(warehouse, "run", "--empty")
    run_dbt(warehouse, "test", "--select", "test_type:unit")
