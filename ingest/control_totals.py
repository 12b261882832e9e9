"""Control totals: what landing counted and summed of each object, kept so that laws can hold the marts against it.

They are taken of the rows as they were read, before slices are selected and written, and appended after the data and
before the registry. Of an object and slice the latest ones count, and only while the registry says that it is landed.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Final

import duckdb
import pyarrow.parquet as pq

from ingest import lake
from ingest.contracts import BILL_PERIODS, CONTROL_TOTALS, DELIVERIES, LandingTable, landing_tables
from ingest.control_measures import KEYS, MEASURES, ROW_COUNT, Measures, bound
from ingest.home import Home
from ingest.registry import LANDED, SUPERSEDED, latest_sql

READING: Final = "reading"
LAKE: Final = "lake"
_MOST_FILES: Final = 32


_COUNTED_FOR: Final = f"""d.source_name = t.source_name and d.object_uri = t.object_uri and d.slice_key = t.slice_key
    and (d.status = '{LANDED}' or t.counted_at >= d.landed_at)"""


def record_totals(
    home: Home,
    engine: duckdb.DuckDBPyConnection,
    table: LandingTable,
    rows_by_key: Mapping[str, str],
    counted_from: str = READING,
) -> None:
    """Append the totals of what one commit landed: selects of its rows by their key in the registry."""
    selects = [select_figures(table, key, sql, counted_from) for key, sql in rows_by_key.items()]
    if selects:
        _append(home, engine, " union all ".join(selects))


def fill_missing(home: Home, engine: duckdb.DuckDBPyConnection, finish: Callable[[LandingTable, str], str]) -> None:
    """Count in the lake what was landed before there were control totals, and what is left of objects whose loss was
    accepted: marked as such, once, before a build. `finish` makes of a select of the lake what the build will see.
    """
    missing = engine.execute(
        f"""select table_name, slice_key, list(distinct object_uri order by object_uri)
        from ({_select_holding(_select_registry(home, engine))}) as d
        anti join ({_select_all(home, engine)}) as t on {_COUNTED_FOR}
        where d.rows_landed > 0 group by all order by all"""
    ).fetchall()
    by_table: dict[str, dict[str, str]] = defaultdict(dict)
    for table_name, slice_key, uris in missing:
        landed_sql = _select_landed(home, engine, table_name, slice_key, uris)
        by_table[table_name][slice_key] = finish(landing_tables()[table_name], landed_sql)
    for table_name, rows_by_key in by_table.items():
        record_totals(home, engine, landing_tables()[table_name], rows_by_key, LAKE)


def select_figures(table: LandingTable, slice_key: str, rows_sql: str, counted_from: str = READING) -> str:
    """The figures of rows that one commit landed under one key of the registry; all columns but the instant."""
    measures = MEASURES.get(table.name, Measures())
    keys = [f"{measures.keys.get(key, 'null::varchar')} as {key}" for key in KEYS]
    sums = [f"sum({bound(value)}) as {name}" for name, value in measures.sums.items()]
    more = f" union all {measures.more_sql}" if measures.more_sql else ""
    return f"""
    select _source as source_name, '{table.name}' as table_name, {lake.quote_text(slice_key)} as slice_key,
        _object as object_uri, partition_date, {", ".join(KEYS)}, measure,
        try_cast(sum(value) as decimal(38, 18)) as total, '{counted_from}' as counted_from
    from (
        with counted as ({rows_sql})
        select * from (
            unpivot (
                select _source, _object, {table.partition} as partition_date, {", ".join(keys)},
                    try_cast(count(*) as decimal(38, 18)) as {ROW_COUNT} {"".join(", " + each for each in sums)}
                from counted group by all
            ) on {", ".join([ROW_COUNT, *measures.sums])} into name measure value value
        ){more}
    ) group by all having total is not null"""


def standing_sql(totals_sql: str, deliveries_sql: str) -> str:
    """The totals that count: the latest of each object and slice that the lake holds by the registry."""
    return f"""select t.* from ({_latest_sql(totals_sql)}) as t
        semi join ({_select_holding(deliveries_sql)}) as d on {_COUNTED_FOR}"""


def _select_holding(deliveries_sql: str) -> str:
    """Registry rows of which the lake has rows. What was accepted as lost keeps its count, but is landed no more."""
    return (
        f"select * from ({deliveries_sql}) where status = '{LANDED}' or (status = '{SUPERSEDED}' and rows_landed > 0)"
    )


def _latest_sql(totals_sql: str) -> str:
    return (
        f"select * from ({totals_sql}) qualify counted_at = max(counted_at) "
        "over (partition by source_name, object_uri, slice_key)"
    )


def _select_all(home: Home, engine: duckdb.DuckDBPyConnection) -> str:
    return lake.select_files_sql(engine, CONTROL_TOTALS, lake.list_files(home, CONTROL_TOTALS))


def _select_registry(home: Home, engine: duckdb.DuckDBPyConnection) -> str:
    return latest_sql(lake.select_files_sql(engine, DELIVERIES, lake.list_files(home, DELIVERIES)))


def _select_landed(
    home: Home, engine: duckdb.DuckDBPyConnection, table_name: str, slice_key: str, uris: Iterable[str]
) -> str:
    """The rows that the lake has of some objects: of a bill in the slice's own files, of a log in any."""
    table = landing_tables()[table_name]
    files = lake.list_files(home, table)
    if table_name in BILL_PERIODS:
        files = [file for file in files if file.slice_id == lake.hash_text(slice_key)]
    listed = ", ".join(lake.quote_text(uri) for uri in uris)
    return f"select * from ({lake.select_files_sql(engine, table, files)}) where _object in ({listed})"


def _append(home: Home, engine: duckdb.DuckDBPyConnection, figures_sql: str) -> None:
    now = datetime.now(UTC).replace(tzinfo=None)
    files = lake.list_files(home, CONTROL_TOTALS)
    if len(files) < _MOST_FILES:
        _write(home, engine, f"select *, timestamp '{now}' as counted_at from ({figures_sql})", [])
        return
    standing = _latest_sql(lake.select_files_sql(engine, CONTROL_TOTALS, files))
    fresh = f"select *, timestamp '{now}' as counted_at from ({figures_sql})"
    _write(home, engine, f"{standing} union all by name {fresh}", files)


def _write(home: Home, engine: duckdb.DuckDBPyConnection, sql: str, replaced: list[lake.LakeFile]) -> None:
    written = home.scratch_dir / "control-totals.parquet"
    written.parent.mkdir(parents=True, exist_ok=True)
    engine.execute(f"copy (select * from ({sql}) order by all) to {lake.quote_text(str(written))} (format parquet)")
    count = pq.read_metadata(written).num_rows
    if not count and not replaced:
        written.unlink()
        return
    content = lake.hash_text(datetime.now(UTC).isoformat(), str(count))
    path = lake.name_file(CONTROL_TOTALS, "totals", content, None)
    lake.swap_files(home, CONTROL_TOTALS, [lake.NewFile(path, written, count, None)], replaced)
