"""What a materialisation says of its table: rows, USD, how far the data reaches, a few rows to look at."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from pathlib import Path
from typing import Any, Final

import dagster as dg
import duckdb

TROUBLES: Final = "troubles"
"""Metadata of a check: what makes the command line end with 1, one text each."""

NOTES: Final = "notes"
"""Metadata of a check: what the command line shows first, and what does not change its exit code."""

_PREVIEW_ROWS: Final = 5
_PREVIEW_COLUMNS: Final = 8
_CELL_CHARACTERS: Final = 40
_DATE_COLUMNS: Final = ("usage_date", "usage_hour_at", "billing_period_start_date")

Relation = tuple[str, str]
"""Schema and table."""


def measure_tables(warehouse_path: Path, relations: Iterable[Relation]) -> dict[Relation, dict[str, Any]]:
    """Dagster metadata of each relation that is a table; views are left out, since counting one runs it.

    Opens the warehouse read-only and closes it: call it when no one writes.
    """
    with duckdb.connect(str(warehouse_path), read_only=True) as connection:
        connection.execute("set TimeZone = 'UTC'")
        tables = {
            (schema, name)
            for schema, name in connection.execute("select schema_name, table_name from duckdb_tables()").fetchall()
        }
        return {relation: _measure_table(connection, relation) for relation in relations if relation in tables}


def render_markdown(columns: Iterable[str], rows: Iterable[Iterable[object]]) -> dg.MarkdownMetadataValue:
    """A small table for Dagster's UI. Values come from bills and logs, so they are shown as text and cut short."""
    heads = list(columns)
    lines = [f"| {' | '.join(heads)} |", f"|{'---|' * len(heads)}"]
    lines += [f"| {' | '.join(_show_cell(value) for value in row)} |" for row in rows]
    return dg.MetadataValue.md("\n".join(lines))


def make_trouble_result(
    key: dg.AssetKey, check_name: str, troubles: Sequence[str], severity: dg.AssetCheckSeverity
) -> dg.AssetCheckResult:
    """A check that passes when there are no troubles, and otherwise carries each one in words under `TROUBLES`."""
    return dg.AssetCheckResult(
        asset_key=key,
        check_name=check_name,
        passed=not troubles,
        severity=severity,
        metadata={TROUBLES: dg.MetadataValue.json(list(troubles))},
    )


def show_instant(instant: datetime | date | None) -> str:
    """`2026-10-31 00:00 UTC`, or a day; says so when nothing is known."""
    if instant is None:
        return "no data yet"
    return f"{instant:%Y-%m-%d %H:%M} UTC" if isinstance(instant, datetime) else instant.isoformat()


def _measure_table(connection: duckdb.DuckDBPyConnection, relation: Relation) -> dict[str, Any]:
    schema, name = relation
    columns: Mapping[str, str] = dict(
        connection.execute(
            "select column_name, data_type from duckdb_columns() "
            "where schema_name = ? and table_name = ? order by column_index",
            [schema, name],
        ).fetchall()
    )
    usd_columns = [
        column for column, kind in columns.items() if column.endswith("_cost_usd") and kind.startswith("DECIMAL")
    ]
    date_column = next((column for column in _DATE_COLUMNS if column in columns), None)
    measures = ["count(*)", *(f"sum({_quote(column)})" for column in usd_columns)]
    if date_column:
        measures.append(f"max({_quote(date_column)})")
    table = f"{_quote(schema)}.{_quote(name)}"
    measured = connection.execute(f"select {', '.join(measures)} from {table}").fetchone()
    assert measured is not None  # an aggregate without group by always has its row
    metadata: dict[str, Any] = {"dagster/row_count": measured[0]}
    # As text: a float would lose the nano-dollars that the laws speak of.
    metadata |= {
        column: f"{measured[1 + at]} USD" for at, column in enumerate(usd_columns) if measured[1 + at] is not None
    }
    if date_column:
        metadata["last_date"] = show_instant(measured[-1])
    if measured[0]:
        shown = list(columns)[:_PREVIEW_COLUMNS]
        picked = ", ".join(_quote(column) for column in shown)
        order = f" order by {_quote(date_column)} desc" if date_column else ""
        rows = connection.execute(f"select {picked} from {table}{order} limit {_PREVIEW_ROWS}").fetchall()
        metadata["preview"] = render_markdown(shown, rows)
    return metadata


def _quote(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _show_cell(value: object) -> str:
    text = "" if value is None else str(value)
    text = text if len(text) <= _CELL_CHARACTERS else f"{text[: _CELL_CHARACTERS - 1]}…"
    for character in "&\\`*_[]<>|":
        text = text.replace(character, f"&#{ord(character)};")
    return " ".join(text.split())
