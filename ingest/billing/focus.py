"""Read FOCUS 1.0 to 1.4 cost and usage: CSV (gzip or not) and Parquet, columns by name in any order and case.

Source: https://focus.finops.org; AWS, Azure, Google Cloud exports and anything else that writes the format. Columns
the contract does not name (`x_…` and others) are kept as JSON in `_extra`.
"""

import csv
from collections.abc import Collection, Iterator, Mapping
from datetime import datetime
from typing import Any, ClassVar, Final

import duckdb
import pyarrow as pa

from ingest.billing import focus_sql
from ingest.billing.claims import Claim, ClaimSink
from ingest.billing.focus_sql import INSTANT_COLUMNS, MONEY_COLUMNS, TypedSelect
from ingest.contracts import FOCUS_CHARGES, LandingTable
from ingest.payload import iterate_blocks
from ingest.source import ObjectRefusedError, RowSink, ServerKind, SourceObject

_ROWS_PER_BATCH: Final = 20_000
_HEADER_BYTES: Final = 1 << 20
_MOST_HELD_PROBLEMS: Final = 10_000
_MEMORY: Final = "512MB"
_PARQUET_MAGIC: Final = b"PAR1"
_GZIP_MAGIC: Final = b"\x1f\x8b"
_OTHER_KINDS: Final = (
    (b"\x89PNG", "a PNG image"),
    (b"\xff\xd8\xff", "a JPEG image"),
    (b"%PDF", "a PDF"),
    (b"PK\x03\x04", "a zip archive or a spreadsheet: export it as CSV"),
    (b"BZh", "bzip2: deliver it as gzip"),
    (b"\x28\xb5\x2f\xfd", "zstandard: deliver it as gzip"),
    (b"\xff\xfe", "UTF-16 text: save it as UTF-8"),
    (b"\xfe\xff", "UTF-16 text: save it as UTF-8"),
    (b"{", "JSON"),
    (b"[", "JSON"),
    (b"<", "HTML or XML"),
)
_KEY_BY_NAME: Final = {name.replace("_", ""): name for name in focus_sql.COLUMN_NAMES}
_JSON_TYPES: Final = ("MAP", "STRUCT", "JSON")
_NUMBER_TYPES: Final = ("DECIMAL", "DOUBLE", "FLOAT", "TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "VARCHAR")
_INSTANT_TYPES: Final = ("TIMESTAMP", "DATE", "VARCHAR")
_TEXT_TYPES: Final = ("VARCHAR", "UUID", "ENUM")


_CLAIM_COLUMNS: Final = ("provider_name", "billing_account_id")
_BAD_COLUMNS: Final = ["_position", "_problem", "_found", "billing_period_start", *_CLAIM_COLUMNS]


class Focus:
    """One row per charge, as billed; grain is the provider's own."""

    kind: ClassVar[str] = "focus"
    table: ClassVar[LandingTable] = FOCUS_CHARGES
    refuses_whole_deliveries: ClassVar[bool] = True
    partition_date_sql: ClassVar[str] = "cast(billing_period_start as date)"
    server: ClassVar[ServerKind | None] = None
    claim_columns: ClassVar[tuple[str, ...]] = _CLAIM_COLUMNS

    def read(self, source_object: SourceObject, sink: RowSink) -> None:
        """Write every readable row, refuse the others by line and field.

        Options: `defaults` (FOCUS column to text, for columns or cells that are empty) and `date_format`
        (`m/d/y` or `d/m/y`, for dates with slashes). Raises `ObjectRefusedError` for what is no FOCUS file.
        """
        defaults = _read_defaults(source_object.options)
        date_format = _read_date_format(source_object.options)
        with source_object.path.open("rb") as file:
            head = file.read(4)
        connection = duckdb.connect(config={"memory_limit": _MEMORY})
        try:
            connection.execute("set TimeZone = 'UTC'; set enable_progress_bar = false")
            if head == _PARQUET_MAGIC:
                self._read_parquet(connection, source_object, sink, defaults, date_format)
            else:
                self._read_csv(connection, source_object, sink, defaults, date_format)
        finally:
            connection.close()

    def _read_csv(
        self,
        connection: duckdb.DuckDBPyConnection,
        source_object: SourceObject,
        sink: RowSink,
        defaults: Mapping[str, str],
        date_format: str | None,
    ) -> None:
        header_line, header = _read_header(source_object)
        spelled, extra = _match_columns(header, defaults)
        columns = ", ".join(f"'c{index}': 'varchar'" for index in range(len(header)))
        compression = "gzip" if source_object.path.open("rb").read(2) == _GZIP_MAGIC else "none"
        path = focus_sql.quote_literal(str(source_object.path))
        scan = (
            f"select * from read_csv({path}, auto_detect = false, header = true, skip = {header_line - 1}, "
            f"delim = ',', quote = '\"', escape = '\"', columns = {{{columns}}}, "
            f"compression = '{compression}', store_rejects = true, rejects_limit = 0)"
        )
        if date_format is None:
            date_format = _detect_date_format(connection, scan, spelled.get("billing_period_start"))
        select = focus_sql.build_select(scan, spelled, extra, defaults, date_format)
        held: list[tuple[int, str, str, str]] = []
        for batch, problems, spoiled in _stream(connection, select, header_line):
            sink.write(batch)
            held += problems
            _note_claims(sink, spoiled)
        rejects = _read_rejects(connection)
        if rejects:
            _note_claims(sink, {None})
        # The reader numbers whole rows; lines that were no rows push the ones after them down.
        shifts = sorted(line for line, *_ in rejects)
        for position, column, reason, found in held:
            line = position
            for shift in shifts if len(shifts) <= _MOST_HELD_PROBLEMS else ():
                if shift > line:
                    break
                line += 1
            sink.refuse_row(line, column, reason, found)
        for line, column, reason, found in rejects:
            sink.refuse_row(line, column, reason, found)

    def _read_parquet(
        self,
        connection: duckdb.DuckDBPyConnection,
        source_object: SourceObject,
        sink: RowSink,
        defaults: Mapping[str, str],
        date_format: str | None,
    ) -> None:
        path = focus_sql.quote_literal(str(source_object.path))
        scan = f"select * from read_parquet({path}, hive_partitioning = false)"
        try:
            described = connection.execute(f"describe {scan}").fetchall()
        except duckdb.Error as error:
            raise ObjectRefusedError(f"damaged Parquet: {_first_line(error)}: deliver the object again") from error
        spelled, extra = _match_columns([row[0] for row in described], defaults)
        types = {f"c{index}": row[1] for index, row in enumerate(described)}
        _check_types(connection, scan, {name: types[column] for name, column in spelled.items()}, described, spelled)
        texts = [
            f"{_text_of(focus_sql.quote_name(row[0]), row[1], is_extra=f'c{index}' in extra.values())} as c{index}"
            for index, row in enumerate(described)
        ]
        source = f"select {', '.join(texts)} from ({scan})"
        if date_format is None:
            date_format = _detect_date_format(connection, source, spelled.get("billing_period_start"))
        select = focus_sql.build_select(source, spelled, extra, defaults, date_format)
        try:
            for batch, problems, spoiled in _stream(connection, select, 0):
                sink.write(batch)
                _note_claims(sink, spoiled)
                for position, column, reason, found in problems:
                    sink.refuse_row(position, column, reason, found)
        except duckdb.Error as error:
            raise ObjectRefusedError(f"damaged Parquet: {_first_line(error)}: deliver the object again") from error


def _stream(
    connection: duckdb.DuckDBPyConnection, select: TypedSelect, first_position: int
) -> Iterator[tuple[pa.Table, list[tuple[int, str, str, str]], set[Claim | None]]]:
    """Yield good rows in batches, each with the (position, column, reason, found) of the bad ones among them, and
    with the claims of those."""
    position = first_position
    for batch in connection.execute(select.sql, select.parameters).to_arrow_reader(_ROWS_PER_BATCH):
        rows = pa.Table.from_batches([batch])
        positions = pa.array(range(position + 1, position + 1 + rows.num_rows), pa.int64())
        position += rows.num_rows
        rows = rows.append_column("_position", positions)
        is_good = rows.column("_problem").is_null()
        bad = rows.filter(rows.column("_problem").is_valid()).select(_BAD_COLUMNS).to_pylist()
        problems = [(row["_position"], *select.problems[row["_problem"]], row["_found"] or "") for row in bad]
        yield rows.filter(is_good).drop_columns(["_problem", "_found"]), problems, {_read_claim(row) for row in bad}


def _read_claim(row: Mapping[str, Any]) -> Claim | None:
    start = row["billing_period_start"]
    return None if start is None else (tuple(row[name] for name in _CLAIM_COLUMNS), start.date())


def _note_claims(sink: RowSink, claims: Collection[Claim | None]) -> None:
    if isinstance(sink, ClaimSink):
        sink.note_refused_claims(claims)


def _read_rejects(connection: duckdb.DuckDBPyConnection) -> list[tuple[int, str, str, str]]:
    """(line, column, reason, found) of every line that is no row; raises when the text is not UTF-8."""
    found = connection.execute(
        """select line, any_value(error_type), any_value(error_message), any_value(csv_line)
        from reject_errors group by line order by line"""
    ).fetchall()
    for line, error_type, _, text in found:
        if error_type == "INVALID ENCODING":
            raise ObjectRefusedError("not UTF-8: save the export as UTF-8", position=line, found=(text or "")[:500])
    return [
        (line, "", f"{message.rstrip('.')}: the line does not fit the header", (text or "").strip("\r\n"))
        for line, _, message, text in found
    ]


def _read_header(source_object: SourceObject) -> tuple[int, list[str]]:
    """(line number, names) of the header; reads the whole object once, since only that shows a gzip cut short."""
    head = b""
    for block in iterate_blocks(source_object):
        if len(head) < _HEADER_BYTES:
            head += block
    for magic, what in _OTHER_KINDS:
        if head.lstrip().startswith(magic):
            raise ObjectRefusedError(
                f"not a FOCUS file but {what}: expected CSV, CSV.gz or Parquet. Narrow `location` in sources.yml "
                "(such as exports/*.csv.gz) or deliver the right file",
                found=repr(head[:40]),
            )
    if b"\x00" in head[:_HEADER_BYTES]:
        raise ObjectRefusedError("not text: expected CSV, CSV.gz or Parquet", found=repr(head[:40]))
    lines = head.removeprefix(b"\xef\xbb\xbf").splitlines()
    number = next((index for index, line in enumerate(lines, 1) if line.strip()), None)
    if number is None:
        raise ObjectRefusedError("nothing but blanks in it: deliver it again, or remove it from the source")
    try:
        text = lines[number - 1].decode()
    except UnicodeDecodeError as error:
        raise ObjectRefusedError("not UTF-8: save the export as UTF-8", position=number) from error
    return number, next(csv.reader([text]))


def _match_columns(header: list[str], defaults: Mapping[str, str]) -> tuple[dict[str, str], dict[str, str]]:
    """Contract columns and other columns of a header, each to `c<index>`."""
    spelled: dict[str, str] = {}
    extra: dict[str, str] = {}
    for index, name in enumerate(header):
        key = _KEY_BY_NAME.get(name.strip().lower())
        known, label = (spelled, key) if key else (extra, name.strip() or f"column_{index + 1}")
        if label in known:
            raise ObjectRefusedError(f"column {name} stands in the header twice: keep one of them", field=name)
        known[label] = f"c{index}"
    missing = [name for name in focus_sql.REQUIRED if name not in spelled and name not in defaults]
    if missing:
        names = ", ".join(focus_sql.spell(name) for name in missing)
        shown = ", ".join(header)
        raise ObjectRefusedError(
            f"missing required column {names}: found {shown[:1500]}. Export it, or give every row a value with "
            f"options.defaults of the source, such as {{{focus_sql.spell(missing[0])}: …}}",
            field=focus_sql.spell(missing[0]),
            found=shown,
        )
    return spelled, extra


def _detect_date_format(connection: duckdb.DuckDBPyConnection, scan: str, column: str | None) -> str | None:
    """The one order of day and month that makes every billing period start on the first of a month, if it is one."""
    if column is None:
        return None
    first = connection.execute(f"select {column} from ({scan}) limit 1").fetchone()
    if first is None or first[0] is None or "/" not in first[0]:
        return None
    found = connection.execute(
        f"select distinct trim({column}) from ({scan}) where regexp_matches({column}, '{focus_sql.SLASH_DATE_PATTERN}')"
    ).fetchall()
    fitting = [
        date_format
        for date_format in (focus_sql.MONTH_FIRST, focus_sql.DAY_FIRST)
        if all(_is_first_of_month(text, date_format) for (text,) in found)
    ]
    return fitting[0] if len(fitting) == 1 else None


def _is_first_of_month(text: str, date_format: str) -> bool:
    for form in focus_sql.slash_formats(date_format):
        try:
            return datetime.strptime(text, form).day == 1
        except ValueError:
            continue
    return False


def _check_types(
    connection: duckdb.DuckDBPyConnection,
    scan: str,
    types: Mapping[str, str],
    described: list[tuple[Any, ...]],
    spelled: Mapping[str, str],
) -> None:
    for name, found in types.items():
        if name in MONEY_COLUMNS:
            allowed, expected = _NUMBER_TYPES, "a decimal or a double"
        elif name in INSTANT_COLUMNS:
            allowed, expected = _INSTANT_TYPES, "a timestamp"
        else:
            allowed, expected = (*_TEXT_TYPES, *_JSON_TYPES), "text"
        if found.startswith(allowed):
            continue
        column = described[int(spelled[name][1:])][0]
        # A column of nothing but nulls has whatever type its writer fell back to.
        counted = connection.execute(f"select count({focus_sql.quote_name(column)}) from ({scan})").fetchone()
        if counted is not None and counted[0]:
            raise ObjectRefusedError(
                f"column {column} has type {found}: expected {expected}. Export it with that type",
                field=column,
                found=found,
            )


def _text_of(column: str, found: str, *, is_extra: bool) -> str:
    if is_extra and not found.startswith("VARCHAR"):
        return column
    return (
        f"to_json({column})::varchar"
        if found.startswith(("MAP", "STRUCT")) or found.endswith("]")
        else f"{column}::varchar"
    )


def _read_defaults(options: Mapping[str, Any]) -> dict[str, str]:
    given = options.get("defaults") or {}
    if not isinstance(given, Mapping):
        raise ObjectRefusedError(f"options.defaults of the source: expected columns with values, found {given!r}")
    defaults: dict[str, str] = {}
    for name, value in given.items():
        key = _KEY_BY_NAME.get(str(name).lower())
        if key is None:
            raise ObjectRefusedError(f"options.defaults of the source: {name} is no FOCUS column", field=str(name))
        defaults[key] = str(value)
    return defaults


def _read_date_format(options: Mapping[str, Any]) -> str | None:
    given = options.get("date_format")
    if given is not None and given not in (focus_sql.MONTH_FIRST, focus_sql.DAY_FIRST):
        raise ObjectRefusedError(
            f"options.date_format of the source: found {given!r}; allowed: {focus_sql.MONTH_FIRST}, "
            f"{focus_sql.DAY_FIRST}"
        )
    return given


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0]
