"""The schema `raw` of the warehouse: views over the lake's current files, and what a build has to redo.

A build pins the file lists when it starts and records them when it succeeded; the difference between the two is what
is touched. The warehouse is disposable: without it, nothing was built and everything is touched.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Final

import duckdb
import pyarrow as pa

from ingest import lake
from ingest.book_tables import BOOK_TABLES, CLOSES
from ingest.contracts import (
    BILL_PERIODS,
    CONTROL_TOTALS,
    DELIVERIES,
    OPENCOST_ALLOCATIONS,
    QUARANTINE,
    LandingTable,
    landing_tables,
)
from ingest.control_totals import fill_missing, standing_sql
from ingest.date_span import DateSpan
from ingest.home import Home, hold_lock
from ingest.lake import LakeFile
from ingest.ranges import name_repair
from ingest.registry import latest_sql
from ingest.touched import fill_touched, has_changed, must_redo_all

_UNBUILT_TABLES: Final = (DELIVERIES.name, CONTROL_TOTALS.name)

_DAY_RANGE_SQL: Final = {
    OPENCOST_ALLOCATIONS.name: (
        "min(window_start_at)::date",
        "greatest(max(window_start_at), max(window_end_at) - interval 1 microsecond)::date",
    ),
    **{
        name: (f"min({start})::date", f"(max({end}) - interval 1 microsecond)::date")
        for name, (start, end) in BILL_PERIODS.items()
    },
}
"""First and last usage day of a file whose rows speak for other days than their partition's."""

_FILES_SCHEMA: Final = pa.schema(
    [
        ("table_name", pa.string()),
        ("path", pa.string()),
        ("partition_date", pa.date32()),
        ("first_date", pa.date32()),
        ("last_date", pa.date32()),
    ]
)
_FILES_COLUMNS: Final = "table_name varchar, path varchar, partition_date date, first_date date, last_date date"


class WarehouseError(Exception):
    """The warehouse cannot be opened, or is not the one that the plan was made for."""


@dataclass(frozen=True)
class BuildPlan:
    """What one build must redo, in number; `raw.touched_days` and `raw.touched_periods` have the keys.

    `is_empty`: nothing was touched since the last build that succeeded.
    """

    build_id: str
    touched_days: int
    touched_periods: int
    is_full_refresh: bool
    is_empty: bool


def pin(home: Home, *, full_refresh: bool = False, code_fingerprint: str, again: DateSpan | None = None) -> BuildPlan:
    """Point the raw views at the files of now, and list the days and billing periods to redo.

    `code_fingerprint` is of the models: another one touches everything. Days to build `again` are redone whatever
    changed. Under the lock. The warehouse is closed again
    on return, so that dbt can open it. Raises `WarehouseError` when another process has it open.
    """
    with hold_lock(home), _open_warehouse(home) as warehouse:
        with lake.open_engine(home) as engine:
            fill_missing(home, engine, keep_in_range_sql)
        files = {table.name: lake.list_files(home, table) for table in _raw_tables().values()}
        warehouse.execute("begin transaction")
        _create_state(warehouse)
        for name, table in _raw_tables().items():
            sql = lake.select_files_sql(warehouse, table, files[name])
            warehouse.execute(f"create or replace view raw.{name} as {_finish_view(table, sql)}")
        _pin_files(warehouse, files)
        warehouse.execute("delete from build_state.pinned_closes")
        warehouse.execute(f"insert into build_state.pinned_closes select close_id, action from raw.{CLOSES.name}")
        is_full = full_refresh or must_redo_all(warehouse, code_fingerprint)
        fill_touched(warehouse, is_full=is_full, again=again)
        _fill_inputs(warehouse, code_fingerprint)
        pinned_at = datetime.now(UTC).replace(tzinfo=None)
        build_id = lake.hash_text(pinned_at.isoformat(), code_fingerprint, str(home.path))
        warehouse.execute("delete from raw.build_info")
        warehouse.execute(
            "insert into raw.build_info values (?, ?, ?, ?)", [build_id, pinned_at, is_full, code_fingerprint]
        )
        days = _count(warehouse, "raw.touched_days")
        periods = _count(warehouse, "raw.touched_periods")
        warehouse.execute("commit")
        # What was refused touches no day, and yet a mart tells of it.
        is_empty = not (is_full or days or periods or has_changed(warehouse, QUARANTINE.name))
        return BuildPlan(build_id, days, periods, is_full, is_empty=is_empty)


def record_begin(home: Home) -> None:
    """Say that the warehouse is about to change; the warehouse itself keeps it, since .state may be lost."""
    with hold_lock(home), _open_warehouse(home) as warehouse:
        _create_state(warehouse)
        warehouse.execute("insert into build_state.unfinished_builds select build_id from raw.build_info")


def record_success(home: Home, plan: BuildPlan) -> None:
    """Remember what `plan` was built from, so that the next build redoes only what differs.

    Raises `WarehouseError` when the warehouse was pinned again since.
    """
    with hold_lock(home), _open_warehouse(home) as warehouse:
        _create_state(warehouse)
        found = warehouse.execute("select build_id from raw.build_info").fetchone()
        if found is None or found[0] != plan.build_id:
            raise WarehouseError(
                f"{home.warehouse_path}: expected build {plan.build_id}, found {found[0] if found else 'none'}. "
                "It was pinned again since; build again."
            )
        warehouse.execute("begin transaction")
        warehouse.execute("delete from build_state.built_files")
        warehouse.execute("insert into build_state.built_files from build_state.pinned_files")
        warehouse.execute("delete from build_state.built_info")
        warehouse.execute("insert into build_state.built_info select build_id, code_fingerprint from raw.build_info")
        warehouse.execute("delete from build_state.built_closes")
        warehouse.execute("insert into build_state.built_closes from build_state.pinned_closes")
        warehouse.execute("delete from build_state.unfinished_builds")
        warehouse.execute("commit")


@contextmanager
def _open_warehouse(home: Home) -> Iterator[duckdb.DuckDBPyConnection]:
    try:
        connection = duckdb.connect(str(home.warehouse_path))
    except duckdb.Error as error:
        raise WarehouseError(
            f"{home.warehouse_path} cannot be opened: {str(error).splitlines()[0]}. Close what has it open: readers "
            "use published/marts.duckdb."
        ) from error
    try:
        connection.execute("set TimeZone = 'UTC'; set enable_progress_bar = false")
        yield connection
    finally:
        connection.close()


def _create_state(warehouse: duckdb.DuckDBPyConnection) -> None:
    warehouse.execute(
        f"""create schema if not exists raw;
        create schema if not exists build_state;
        create table if not exists build_state.built_files ({_FILES_COLUMNS});
        create table if not exists build_state.pinned_files ({_FILES_COLUMNS});
        create table if not exists build_state.unfinished_builds (build_id varchar);
        create table if not exists build_state.built_info (build_id varchar, code_fingerprint varchar);
        create table if not exists build_state.built_closes (close_id varchar, action varchar);
        create table if not exists build_state.pinned_closes (close_id varchar, action varchar);
        create table if not exists raw.build_inputs (input_name varchar, usage_date date, fingerprint varchar);
        create table if not exists raw.touched_days (usage_date date);
        create table if not exists raw.touched_periods (billing_period_start_date date);
        create table if not exists raw.known_months (month_start_date date);
        create table if not exists raw.build_info (
            build_id varchar, pinned_at timestamp, is_full_refresh boolean, code_fingerprint varchar
        )"""
    )


def _raw_tables() -> dict[str, LandingTable]:
    """Every table of the raw schema by name: what was landed, and what was booked."""
    return {**landing_tables(), **BOOK_TABLES}


def _fill_inputs(warehouse: duckdb.DuckDBPyConnection, code_fingerprint: str) -> None:
    """What the build is made from, by table and day: a close books this list, so that what moves later has a cause.

    A file's name holds a hash of its content, so equal lists of names are equal rows.
    """
    warehouse.execute("delete from raw.build_inputs")
    warehouse.execute(
        """insert into raw.build_inputs
        select table_name, partition_date, md5(string_agg(path, ',' order by path))
        from build_state.pinned_files where table_name != ? group by table_name, partition_date""",
        [QUARANTINE.name],
    )
    warehouse.execute("insert into raw.build_inputs values ('code', null, ?)", [code_fingerprint])


def _finish_view(table: LandingTable, sql: str) -> str:
    if table.name == CONTROL_TOTALS.name:
        return standing_sql(sql, f"from raw.{DELIVERIES.name}")
    return latest_sql(sql) if table.name == DELIVERIES.name else keep_in_range_sql(table, sql)


def keep_in_range_sql(table: LandingTable, sql: str) -> str:
    """The rows of a select, of a table's columns, as `ingest.sink` would have landed them.

    What an earlier version landed outside a range is null with its code; a row that would have been refused is left
    out, but of a bill, which is wrong without it.
    """
    if not table.ranges or table.is_book:
        return sql
    kept = [f"{bounds.select_sql(name)} as {name}" for name, bounds in table.ranges.items()]
    codes = ", ".join(
        f"case when not {bounds.inside_sql(name)} then '{name_repair(name)}' end"
        for name, bounds in table.ranges.items()
    )
    repairs = f"case when concat_ws('', {codes}) = '' then _repairs else concat_ws(',', _repairs, {codes}) end"
    refusing = [] if table.name in BILL_PERIODS else [name for name in table.ranges if table.ranges[name].refuses]
    where = " and ".join(["true", *(f"coalesce({table.ranges[name].inside_sql(name)}, true)" for name in refusing)])
    return f"select * replace ({', '.join(kept)}, {repairs} as _repairs) from ({sql}) where {where}"


def _pin_files(warehouse: duckdb.DuckDBPyConnection, files: Mapping[str, Sequence[LakeFile]]) -> None:
    """Write every table's current files with the usage days that they speak for."""
    known = {
        (table_name, path): (first_date, last_date)
        for table_name, path, first_date, last_date in warehouse.execute(
            "select table_name, path, first_date, last_date from build_state.built_files"
        ).fetchall()
    }
    rows: list[tuple[str, str, date | None, date | None, date | None]] = []
    for name, current in files.items():
        if name in _UNBUILT_TABLES or name in BOOK_TABLES:
            continue
        fresh = [file for file in current if (name, file.path) not in known]
        ranges = _read_day_ranges(warehouse, landing_tables()[name], fresh)
        for file in current:
            first_date, last_date = known.get((name, file.path)) or ranges[file.path]
            rows.append((name, file.path, file.partition_date, first_date, last_date))
    columns = list(zip(*rows, strict=True)) if rows else [()] * len(_FILES_SCHEMA)
    pinned = pa.table(
        [pa.array(values, field.type) for values, field in zip(columns, _FILES_SCHEMA, strict=True)],
        schema=_FILES_SCHEMA,
    )
    warehouse.execute("delete from build_state.pinned_files")
    warehouse.register("pinned_now", pinned)
    warehouse.execute("insert into build_state.pinned_files from pinned_now")
    warehouse.unregister("pinned_now")


def _read_day_ranges(
    warehouse: duckdb.DuckDBPyConnection, table: LandingTable, files: Sequence[LakeFile]
) -> dict[str, tuple[date | None, date | None]]:
    if table.name not in _DAY_RANGE_SQL:
        return {file.path: (file.partition_date, file.partition_date) for file in files}
    if not files:
        return {}
    first, last = _DAY_RANGE_SQL[table.name]
    sql = lake.select_files_sql(warehouse, table, files, "filename")
    found = warehouse.execute(f"select filename, {first}, {last} from ({sql}) group by filename").fetchall()
    by_location = {str(file.absolute): file.path for file in files}
    return {by_location[filename]: (first_date, last_date) for filename, first_date, last_date in found}


def _count(warehouse: duckdb.DuckDBPyConnection, table_name: str) -> int:
    found = warehouse.execute(f"select count(*) from {table_name}").fetchone()
    return found[0] if found else 0
