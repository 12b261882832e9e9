"""From spooled rows to the data files of a table, swapped in one commit.

A file is named by its slice and by a fingerprint of its rows, so the same rows are never written twice and a day whose
rows did not change keeps its file.
"""

import os
from collections import Counter
from collections.abc import Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any, Final

import duckdb
import pyarrow as pa

from ingest import lake
from ingest.contracts import (
    BILL_PERIODS,
    CARBON_INTENSITY,
    DCGM_SAMPLES,
    ELECTRICITY_PRICES,
    GPU_PRICES,
    JOB_REPORTS,
    KOKU_OCP_ROWS,
    KUBE_POD_GROUPS,
    KUBE_PODS,
    KUBE_STATE_SAMPLES,
    KUBE_WORKLOADS,
    LITELLM_REQUESTS,
    LLM_CATALOGUE_PRICES,
    OPENCOST_ALLOCATIONS,
    PROVIDER_BUDGETS,
    PROVIDER_RESULTS,
    SLURM_JOBS,
    VLLM_SAMPLES,
    LandingTable,
)
from ingest.home import Home

DATA_THROUGH_SQL: Final = {
    **{name: end for name, (_, end) in BILL_PERIODS.items()},
    OPENCOST_ALLOCATIONS.name: "window_end_at",
    **{table.name: "sampled_at" for table in (DCGM_SAMPLES, KUBE_STATE_SAMPLES, VLLM_SAMPLES)},
    **{table.name: "observed_at" for table in (KUBE_PODS, KUBE_POD_GROUPS, KUBE_WORKLOADS)},
    KOKU_OCP_ROWS.name: "interval_end_at",
    LITELLM_REQUESTS.name: "coalesce(ended_at, started_at)",
    PROVIDER_RESULTS.name: "bucket_end_at",
    **{table.name: "as_of" for table in (GPU_PRICES, LLM_CATALOGUE_PRICES, PROVIDER_BUDGETS)},
    **{table.name: "ends_at" for table in (CARBON_INTENSITY, ELECTRICITY_PRICES)},
    **{table.name: "reported_at" for table in (SLURM_JOBS, JOB_REPORTS)},
}
"""Up to which instant the rows of a table tell."""

_WRITERS: Final = min(os.cpu_count() or 1, 4)


@dataclass(frozen=True)
class SliceRows:
    """The rows of one slice in one partition, as a SQL select over the spool."""

    slice_id: str
    partition_date: date | None
    sql: str


def scan_spool_sql(table: LandingTable, paths: Sequence[Path]) -> str:
    """A select of all columns of spooled rows."""
    if not paths:
        typed = (f"null::{lake.name_engine_type(field.type)} as {field.name}" for field in table.schema)
        return f"select {', '.join(typed)} where false"
    listed = ", ".join(lake.quote_text(str(path)) for path in paths)
    return f"select {', '.join(table.schema.names)} from read_parquet([{listed}], hive_partitioning = false)"


def summarize_spool(
    engine: duckdb.DuckDBPyConnection, table: LandingTable, paths: Sequence[Path]
) -> tuple[dict[str, datetime], Counter[str]]:
    """(the latest instant by object, rows by repair code)."""
    sql = scan_spool_sql(table, paths)
    ends = dict(
        engine.execute(f"select _object, max({DATA_THROUGH_SQL[table.name]}) from ({sql}) group by 1").fetchall()
    )
    codes = engine.execute(
        f"""select code, count(*) from (
            select unnest(string_split(_repairs, ',')) as code from ({sql}) where _repairs is not null
        ) group by 1"""
    ).fetchall()
    return ends, Counter(dict(codes))


def find_repeated_row(engine: duckdb.DuckDBPyConnection, table: LandingTable, sql: str) -> list[str]:
    """Two objects of a slice, with the line, that hold the same row; empty when there are none."""
    content = ", ".join(list_content_columns(table))
    # Two steps: naming the lines of every group, most of them of one row, would take longer than reading the bill.
    twice = engine.execute(
        f"""select hash({content}) as first_hash, hash(1, {content}) as second_hash from ({sql})
        group by all having min(_object) != max(_object) limit 1"""
    ).fetchone()
    if twice is None:
        return []
    found = engine.execute(
        f"""select _object || ' line ' || min(_position) from ({sql})
        where hash({content}) = $1 and hash(1, {content}) = $2 group by _object order by _object limit 2""",
        list(twice),
    ).fetchall()
    return [line for (line,) in found]


def fingerprint_sql(columns: Sequence[str]) -> str:
    """An aggregate that tells two multisets of rows apart, whatever their order."""
    listed = ", ".join(columns)
    return f"concat_ws('-', count(*), sum(hash({listed})::hugeint), bit_xor(hash({listed}, 1)))"


def list_content_columns(table: LandingTable) -> list[str]:
    """What a row says, without where it was read."""
    return [*(name for name, _ in table.columns), "_repairs", "_extra"]


def list_owned_columns(table: LandingTable) -> list[str]:
    """What a row of a log says, with the object that owns it."""
    return [*list_content_columns(table), "_source", "_object", "_position"]


def write_slice(
    home: Home, engine: duckdb.DuckDBPyConnection, table: LandingTable, rows: SliceRows, content_columns: Sequence[str]
) -> lake.NewFile | None:
    """Write one slice aside, named by its content; None when it has no rows."""
    found = engine.execute(
        f"select count(*), {fingerprint_sql(content_columns)}, min(_object), max(_object) from ({rows.sql})"
    ).fetchone()
    assert found is not None
    return _write_file(home, engine, table, rows, found) if found[0] else None


def _write_file(
    home: Home, engine: duckdb.DuckDBPyConnection, table: LandingTable, rows: SliceRows, found: tuple[Any, ...]
) -> lake.NewFile:
    """`found` is the slice's row count, fingerprint, first and last object."""
    row_count, fingerprint, first_object, last_object = found
    path = lake.name_file(table, rows.slice_id, lake.hash_text(fingerprint), rows.partition_date)
    written = home.scratch_dir / f"slice-{lake.hash_text(path)}.parquet"
    home.scratch_dir.mkdir(parents=True, exist_ok=True)
    if not (lake.get_table_dir(home, table) / path).exists():
        columns = ", ".join(name for name in table.schema.names if name != table.partition)
        target = lake.quote_text(str(written))
        engine.execute(f"copy (select {columns} from ({rows.sql})) to {target} (format parquet, compression zstd)")
    return lake.NewFile(path, written, row_count, rows.partition_date, first_object, last_object)


def swap_slices(
    home: Home, engine: duckdb.DuckDBPyConnection, table: LandingTable, slices: Sequence[SliceRows]
) -> bool:
    """Let each slice have exactly these rows; False when all of them had. For billing."""
    files = [write_slice(home, engine, table, rows, list_content_columns(table)) for rows in slices]
    ids = {rows.slice_id for rows in slices}
    replaced = [file for file in lake.list_files(home, table) if file.slice_id in ids]
    return lake.swap_files(home, table, [file for file in files if file], replaced)


def swap_objects(
    home: Home,
    engine: duckdb.DuckDBPyConnection,
    table: LandingTable,
    slice_id: str,
    spooled: Sequence[Path],
    known_uris: Collection[str],
    unsure_uris: Collection[str],
    registered_slice_ids: Collection[str],
) -> bool:
    """Let the spooled objects own exactly the spooled rows; False when they did. For logs and telemetry.

    `known_uris` may have rows in any file, `unsure_uris` only in files of slices that no registry row names: those a
    crash left. Days of an object whose rows are the same keep their file.
    """
    current = lake.list_files(home, table)
    orphaned = [file for file in current if file.slice_id not in registered_slice_ids]
    known, unsure = sorted(known_uris), sorted(unsure_uris)
    searched = {file.path: file for file in current if known and file.may_hold(known)}
    searched |= {file.path: file for file in orphaned if unsure and file.may_hold(unsure)}
    spool_sql = scan_spool_sql(table, spooled)
    new_sql, added, removed = spool_sql, [], []
    if searched:
        _group_rows(engine, table, [*known, *unsure], list(searched.values()), spool_sql)
        by_location = {str(file.absolute): file for file in searched.values()}
        stale = engine.execute("select distinct filename from stale_groups order by filename").fetchall()
        for (filename,) in stale:
            file = by_location[filename]
            removed.append(file)
            added.append(_rewrite_file(home, engine, table, file))
        new_sql = (
            f"select s.* from ({spool_sql}) as s where not exists (select 1 from kept_groups as k "
            f"where k._object = s._object and k.partition_date is not distinct from s.{table.partition})"
        )
    added += _write_dates(home, engine, table, slice_id, new_sql)
    changed = lake.swap_files(home, table, [file for file in added if file], removed)
    engine.execute("drop table if exists stale_groups; drop table if exists kept_groups")
    return changed


def _write_dates(
    home: Home, engine: duckdb.DuckDBPyConnection, table: LandingTable, slice_id: str, rows_sql: str
) -> list[lake.NewFile]:
    """Write a slice of each date, several dates at a time: one is too little work for more than one processor."""
    # All dates in one scan: it takes little longer than the scan of one.
    dates = engine.execute(
        f"""select {table.partition}, count(*), {fingerprint_sql(list_owned_columns(table))}, min(_object), max(_object)
        from ({rows_sql}) group by 1 order by 1"""
    ).fetchall()

    def write_date(row: tuple[Any, ...]) -> lake.NewFile:
        partition_date, *found = row
        sql = f"select * from ({rows_sql}) where {table.partition} = date '{partition_date}'"
        with engine.cursor() as cursor:
            return _write_file(home, cursor, table, SliceRows(slice_id, partition_date, sql), tuple(found))

    with ThreadPoolExecutor(_WRITERS) as writers:
        return list(writers.map(write_date, dates))


def _group_rows(
    engine: duckdb.DuckDBPyConnection,
    table: LandingTable,
    uris: Sequence[str],
    searched: Sequence[lake.LakeFile],
    spool_sql: str,
) -> None:
    """Tables of (object, day): kept_groups have the same rows in a file and in the spool, stale_groups do not."""
    fingerprint = fingerprint_sql([*list_content_columns(table), "_source", "_position"])
    engine.register("landing_uris", pa.table({"uri": pa.array(uris, pa.string())}))
    files_sql = lake.select_files_sql(engine, table, searched, "filename")
    engine.execute(
        f"""create or replace table old_groups as
        select filename, _object, {table.partition} as partition_date, {fingerprint} as fingerprint
        from ({files_sql}) where _object in (select uri from landing_uris) group by all"""
    )
    engine.execute(
        f"""create or replace table kept_groups as
        select o.* from old_groups as o
        inner join (
            select _object, {table.partition} as partition_date, {fingerprint} as fingerprint
            from ({spool_sql}) group by all
        ) as n on n._object = o._object and n.partition_date = o.partition_date and n.fingerprint = o.fingerprint"""
    )
    engine.execute("create or replace table stale_groups as from old_groups except from kept_groups")
    engine.execute("drop table old_groups")
    engine.unregister("landing_uris")


def _rewrite_file(
    home: Home, engine: duckdb.DuckDBPyConnection, table: LandingTable, file: lake.LakeFile
) -> lake.NewFile | None:
    files_sql = lake.select_files_sql(engine, table, [file])
    sql = (
        f"select f.* from ({files_sql}) as f where not exists "
        f"(select 1 from stale_groups as s where s._object = f._object and s.filename = "
        f"{lake.quote_text(str(file.absolute))})"
    )
    return write_slice(
        home, engine, table, SliceRows(file.slice_id, file.partition_date, sql), list_owned_columns(table)
    )
