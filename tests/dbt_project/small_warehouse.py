"""Small warehouses for the tests of the models: landing tables by hand, built by the real dbt project."""

import multiprocessing
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, Final

import duckdb
import pyarrow as pa

from ingest.allocation_policies import list_default_rows
from ingest.book_tables import BOOK_TABLES
from ingest.contracts import CONTROL_TOTALS, landing_tables
from ingest.control_totals import select_figures

_FORKS: Final = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(["tests.dbt_project.dbt_fork"])


def write_landing(warehouse: Path, rows_by_table: Mapping[str, Iterable[Mapping[str, object]]]) -> None:
    """Replace the raw schema of `warehouse`: every landing table and book, filled where `rows_by_table` names it.

    Columns that a row leaves out are null, but for where it was read from; the touched days are set by `touch_days`.
    Allocation policies are the defaults, unless they are named.
    """
    rows_by_table = {"config_allocation_policies": list_default_rows(())} | dict(rows_by_table)
    with duckdb.connect(str(warehouse)) as connection:
        connection.execute("create schema if not exists raw")
        for name, table in {**landing_tables(), **BOOK_TABLES}.items():
            rows = [
                {"_object": name, "_position": position} | dict(row)
                for position, row in enumerate(rows_by_table.get(name, []), start=1)
            ]
            arrow_rows = pa.Table.from_pylist(rows, schema=table.schema)
            connection.register("arrow_rows", arrow_rows)
            connection.execute(f"create or replace table raw.{name} as select * from arrow_rows")
            connection.unregister("arrow_rows")
        for name, table in landing_tables().items():
            if table.partition and rows_by_table.get(name):
                count_landing(connection, name)
        connection.execute("create or replace table raw.touched_periods(billing_period_start_date date)")
        connection.execute(
            "create or replace view raw.known_months as "
            "select distinct date_trunc('month', billing_period_start_date)::date as month_start_date "
            "from raw.touched_periods"
        )
        connection.execute("create or replace table raw.touched_days(usage_date date)")
        connection.execute(
            "create or replace table raw.build_inputs(input_name varchar, usage_date date, fingerprint varchar)"
        )
        connection.execute(
            "create or replace table raw.build_info as "
            "select 'test' as build_id, timestamp '2026-10-01' as pinned_at, true as is_full_refresh"
        )


def count_landing(connection: duckdb.DuckDBPyConnection, name: str) -> None:
    """Take the control totals of a landing table as it stands, in place of those before."""
    figures = select_figures(landing_tables()[name], name, f"from raw.{name}")
    connection.execute(f"delete from raw.{CONTROL_TOTALS.name} where table_name = '{name}'")
    connection.execute(f"insert into raw.{CONTROL_TOTALS.name} by name {figures}")


def touch_days(warehouse: Path, days: Iterable[date]) -> None:
    """Name the days that the next build rebuilds."""
    with duckdb.connect(str(warehouse)) as connection:
        connection.execute("delete from raw.touched_days")
        connection.executemany("insert into raw.touched_days values (?)", [[day] for day in days])


@dataclass(frozen=True)
class NodeResult:
    """How one model or test ended: dbt's own words, and the rows that a test found."""

    unique_id: str
    status: str
    failures: int | None


def run_dbt(warehouse: Path, command: str, *arguments: str) -> list[NodeResult]:
    """Run dbt on `warehouse`; a failure raises what dbt said of it.

    A build leaves out tests of what it does not build.
    """
    failed, results = try_dbt(warehouse, command, *arguments)
    assert not failed, failed[-8000:]
    return results


def try_dbt(
    warehouse: Path, command: str, *arguments: str, wrapped: Mapping[str, str] | None = None
) -> tuple[str, list[NodeResult]]:
    """What failed, in words, or nothing, and how each node ended. `wrapped` has models whose own query stands in
    another one, as its `{sql}`.
    """
    buildable = ("--indirect-selection", "buildable") if command == "build" else ()
    ours, theirs = _FORKS.Pipe()
    told = (theirs, warehouse, command, (*buildable, *arguments), dict(os.environ), wrapped or {})
    fork = _FORKS.Process(target=answer_dbt, args=told)
    fork.start()
    theirs.close()
    try:
        failed, results = ours.recv()
    except EOFError:
        failed, results = "dbt ended without an answer", []
    fork.join()
    return failed, [NodeResult(*result) for result in results]


def answer_dbt(*arguments: Any) -> None:
    """`dbt_fork.answer`, imported in the fork server and nowhere else."""
    from tests.dbt_project.dbt_fork import answer

    answer(*arguments)


def read_rows(warehouse: Path, query: str) -> list[tuple]:
    """Rows of a query over a built warehouse."""
    with duckdb.connect(str(warehouse), read_only=True) as connection:
        return connection.execute(query).fetchall()


def at(text: str) -> datetime:
    """UTC instant without zone, as the lake holds it."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC).replace(tzinfo=None)
