"""What is behind a model or law that failed: the rows that a law found, what landed since the last good build, and
what to do."""

import json
from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import duckdb

from delivery.marts import BuildInfo, MartsError, open_marts
from ingest import lake
from ingest.contracts import DELIVERIES, landing_tables
from ingest.home import Home
from ingest.registry import latest_sql
from orchestration.build_state import NotBuiltError, read_built

_SHOWN_ROWS: Final = 3
_SHOWN_OBJECTS: Final = 5
_SHOWN_CHARACTERS: Final = 400
_FAILED: Final = ("error", "fail", "runtime error")

_NEW_OBJECTS_SQL: Final = """
select source_name, object_uri, table_name
from ({rows})
where landed_at > $since and list_contains($tables, table_name) and object_uri is not null
order by landed_at desc, source_name, object_uri
"""
_SOURCES_SQL: Final = """
select distinct source_name from ({rows}) where list_contains($tables, table_name) order by 1
"""


def explain_failures(home: Home, run_dir: Path) -> str:
    """Lines for a person, beside dbt's own words: rows, objects, sources, what stays published and what to do."""
    failed = _read_failed(run_dir)
    standing = _read_standing(home)
    lines = [line for result in failed for line in _show_rows(home, result)]
    lines += _name_origins(home, _list_tables(run_dir, failed), standing)
    if standing is None:
        lines.append("Nothing was published before, and nothing is now.")
    else:
        lines.append(f"Published stays build {standing.build_id} of {standing.published_at:%Y-%m-%d %H:%M} UTC.")
    lines.append(
        "What to do: correct or take away what is named above, then run again. If it is right as it is, the fault is "
        "in a model: report it with the log."
    )
    return "\n".join(lines)


def describe_standing(home: Home) -> str | None:
    """What readers must know when the published figures are not of the last build; None when they are."""
    standing = _read_standing(home)
    if standing is None or not home.warehouse_path.exists():
        return None
    try:
        read_built(home)
    except NotBuiltError:
        return (
            "The last build failed or was stopped, so newer data is not in these figures: they are as of "
            f"{standing.published_at:%Y-%m-%d %H:%M} UTC."
        )
    except duckdb.Error:  # somebody builds at this moment
        return None
    return None


def _read_standing(home: Home) -> BuildInfo | None:
    try:
        with open_marts(home.published_dir) as marts:
            return marts.build
    except MartsError:
        return None


def _read_failed(run_dir: Path) -> list[dict[str, Any]]:
    path = run_dir / "run_results.json"
    results = json.loads(path.read_text(encoding="utf-8"))["results"] if path.is_file() else []
    return [result for result in results if result["status"] in _FAILED]


def _show_rows(home: Home, result: Mapping[str, Any]) -> list[str]:
    """The first rows that a failed test finds, by its own SQL."""
    if result["status"] != "fail" or not result.get("compiled_code"):
        return []
    with duckdb.connect(str(home.warehouse_path), read_only=True) as warehouse:
        warehouse.execute("set TimeZone = 'UTC'")
        try:
            found = warehouse.execute(f"select * from ({result['compiled_code']}) limit {_SHOWN_ROWS}")
        except duckdb.Error:  # what it reads is gone since
            return []
        columns = [column[0] for column in found.description or ()]
        rows = found.fetchall()
    name = result["unique_id"].split(".")[2]
    return [f"  {name}, row {number}: {_show_row(columns, row)}" for number, row in enumerate(rows, start=1)]


def _show_row(columns: Iterable[str], row: Iterable[object]) -> str:
    known = [f"{column}={value}" for column, value in zip(columns, row, strict=True) if value is not None]
    text = ", ".join(known)
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}…"


def _list_tables(run_dir: Path, failed: Iterable[Mapping[str, Any]]) -> list[str]:
    """The landing tables that the failed models and tests are made from."""
    path = run_dir / "manifest.json"
    if not path.is_file():
        return []
    parents: Mapping[str, list[str]] = json.loads(path.read_text(encoding="utf-8"))["parent_map"]
    seen: set[str] = set()
    waiting = [result["unique_id"] for result in failed]
    while waiting:
        node = waiting.pop()
        if node not in seen:
            seen.add(node)
            waiting += parents.get(node, [])
    return sorted({node.rsplit(".", 1)[1] for node in seen if node.startswith("source.")} & landing_tables().keys())


def _name_origins(home: Home, tables: list[str], standing: BuildInfo | None) -> list[str]:
    """The sources that the tables come from, and their objects that landed since what is published was built."""
    if not tables:
        return []
    since = standing.published_at if standing else datetime.min
    with lake.open_engine(home) as engine:
        rows = latest_sql(lake.select_files_sql(engine, DELIVERIES, lake.list_files(home, DELIVERIES)))
        sources = engine.execute(_SOURCES_SQL.format(rows=rows), {"tables": tables}).fetchall()
        new = engine.execute(_NEW_OBJECTS_SQL.format(rows=rows), {"tables": tables, "since": since}).fetchall()
    lines = [f"  made from: {', '.join(name for (name,) in sources)}"]
    if standing is None:
        return lines
    if not new:
        return [*lines, "  nothing of these landed since the last good build: a setting or the code has changed"]
    lines += [
        f"  new since the last good build: {uri} of {name} ({table})" for name, uri, table in new[:_SHOWN_OBJECTS]
    ]
    more = len(new) - _SHOWN_OBJECTS
    return [*lines, f"  and {more:,} more new objects"] if more > 0 else lines
