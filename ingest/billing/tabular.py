"""Read a tabular bill: CSV (gzip or not), Parquet and JSON lines, columns by name in any order and case.

A field of a record is a column named `record.field`, however deep. Columns the contract does not name are kept as JSON
in `_extra`. What a format is, its `BillFormat` says.
"""

import csv
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, Final, cast

import duckdb
import pyarrow as pa
from duckdb.sqltypes import DuckDBPyType

from ingest.billing import typed_select
from ingest.billing.bill_format import BillFormat
from ingest.billing.bill_options import read_columns, read_date_format
from ingest.billing.claims import Claim, ClaimSink
from ingest.billing.json_lines import batch_lines, is_json
from ingest.billing.typed_select import SourceColumns
from ingest.failures import describe_failure
from ingest.payload import iterate_blocks
from ingest.source import NoBillError, ObjectRefusedError, RowSink, SourceObject

_ROWS_PER_BATCH: Final = 20_000
_HEADER_BYTES: Final = 1 << 20
_FIRST_ROW_LINES: Final = 100  # that a quoted text of the first row may have
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
_JSON_TYPES: Final = ("MAP", "STRUCT", "JSON")
_NUMBER_TYPES: Final = ("DECIMAL", "DOUBLE", "FLOAT", "TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "VARCHAR")
_INSTANT_TYPES: Final = ("TIMESTAMP", "DATE", "VARCHAR")
_TEXT_TYPES: Final = ("VARCHAR", "UUID", "ENUM")


def read_bill(form: BillFormat, source_object: SourceObject, sink: RowSink) -> None:
    """Write every readable row, refuse the others by line and field.

    Options: `columns` (column to the file's own header), `defaults` (column to text, where there is none) and
    `date_format` (`m/d/y` or `d/m/y`, for dates with slashes). Raises `ObjectRefusedError` for what is no file of the
    format.
    """
    with source_object.path.open("rb") as file:
        head = file.read(4)
    connection = duckdb.connect(config={"memory_limit": _MEMORY})
    try:
        connection.execute("set TimeZone = 'UTC'; set enable_progress_bar = false")
        reader = _BillReader(form, connection, source_object, sink)
        if head == _PARQUET_MAGIC:
            reader.read_parquet()
        elif form.has_records and is_json(source_object):
            reader.read_json_lines()
        else:
            reader.read_csv()
    finally:
        connection.close()


class _BillReader:
    """Reads one object."""

    def __init__(
        self, form: BillFormat, connection: duckdb.DuckDBPyConnection, source_object: SourceObject, sink: RowSink
    ) -> None:
        form = replace(form, renamed=read_columns(form, "columns", source_object.options))
        self._form = form
        self._connection = connection
        self._object = source_object
        self._sink = sink
        self._defaults = read_columns(form, "defaults", source_object.options)
        self._date_format = read_date_format(source_object.options)

    def read_csv(self) -> None:
        form, connection, sink = self._form, self._connection, self._sink
        header_line, header, first_row = _read_header(form, self._object)
        columns = _match_columns(form, header, self._defaults)
        width = len(header)
        if first_row and _is_harmless_tail(columns, len(first_row), width):
            # Every row ends there, or those that do not are refused: the header has columns that nobody fills.
            width = len(first_row)
            columns = replace(_cut_columns(columns, width), notes=("rows_shorter_than_header",))
        declared = ", ".join(f"'c{index}': 'varchar'" for index in range(width))
        compression = "gzip" if self._object.path.open("rb").read(2) == _GZIP_MAGIC else "none"
        path = typed_select.quote_literal(str(self._object.path))
        scan = (
            f"select * from read_csv({path}, auto_detect = false, header = false, skip = {header_line}, "
            f"delim = ',', quote = '\"', escape = '\"', columns = {{{declared}}}, "
            f"compression = '{compression}', store_rejects = true, rejects_limit = 0)"
        )
        held: list[tuple[int, str, str, str]] = []
        for batch, problems, spoiled in self._stream(scan, columns, header_line):
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

    def read_parquet(self) -> None:
        path = typed_select.quote_literal(str(self._object.path))
        scan = f"select * from read_parquet({path}, hive_partitioning = false)"
        try:
            relation = self._connection.sql(scan)
            described = list(_flatten_types(self._form, zip(relation.columns, relation.types, strict=True)))
        except duckdb.Error as error:
            raise ObjectRefusedError(f"damaged Parquet: {describe_failure(error)}: deliver the object again") from error
        columns = _match_columns(self._form, [name for name, _, _ in described], self._defaults)
        _check_types(self._form, self._connection, scan, described, columns.spelled)
        texts = [
            f"{_text_of(column, found, is_extra=f'c{index}' in columns.extra.values())} as c{index}"
            for index, (_, column, found) in enumerate(described)
        ]
        try:
            for batch, problems, spoiled in self._stream(f"select {', '.join(texts)} from ({scan})", columns, 0):
                self._sink.write(batch)
                _note_claims(self._sink, spoiled)
                for position, column, reason, found in problems:
                    self._sink.refuse_row(position, column, reason, found)
        except duckdb.Error as error:
            raise ObjectRefusedError(f"damaged Parquet: {describe_failure(error)}: deliver the object again") from error

    def read_json_lines(self) -> None:
        for lines in batch_lines(self._form, self._object, self._sink):
            columns = replace(_match_columns(self._form, lines.header, self._defaults), position="line")
            self._connection.register("json_lines", lines.rows)
            for batch, problems, spoiled in self._stream("select * from json_lines", columns, 0):
                self._sink.write(batch)
                _note_claims(self._sink, spoiled)
                for position, column, reason, found in problems:
                    self._sink.refuse_row(position, column, reason, found)
            self._connection.unregister("json_lines")

    def _stream(
        self, scan: str, columns: SourceColumns, first_position: int
    ) -> Iterator[tuple[pa.Table, list[tuple[int, str, str, str]], set[Claim | None]]]:
        """Yield good rows in batches, each with the (position, column, reason, found) of the bad ones among them, and
        with the claims of those."""
        form = self._form
        period = columns.spelled.get(form.period_column) if form.period_column in form.instant_columns else None
        date_format = self._date_format or _detect_date_format(self._connection, scan, period)
        select = typed_select.build_select(form, scan, columns, self._defaults, date_format)
        claimed = ["_period", *form.claim_columns]
        position = first_position
        for batch in self._connection.execute(select.sql, select.parameters).to_arrow_reader(_ROWS_PER_BATCH):
            rows = pa.Table.from_batches([batch])
            if columns.position is None:
                positions = pa.array(range(position + 1, position + 1 + rows.num_rows), pa.int64())
                position += rows.num_rows
                rows = rows.append_column("_position", positions)
            if rows.column("_problem").null_count == rows.num_rows:
                yield rows.drop_columns(["_problem", "_found", "_period"]), [], set()
                continue
            is_good = rows.column("_problem").is_null()
            bad = rows.filter(rows.column("_problem").is_valid())
            bad_rows = bad.select(["_position", "_problem", "_found", *claimed]).to_pylist()
            problems = [(row["_position"], *select.problems[row["_problem"]], row["_found"] or "") for row in bad_rows]
            spoiled = {_read_claim(row, claimed) for row in bad_rows}
            yield rows.filter(is_good).drop_columns(["_problem", "_found", "_period"]), problems, spoiled


def _read_claim(row: Mapping[str, Any], claimed: list[str]) -> Claim | None:
    period, *columns = claimed
    start = row[period]
    return None if start is None else (tuple(row[name] for name in columns), start)


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


def _read_header(form: BillFormat, source_object: SourceObject) -> tuple[int, list[str], list[str]]:
    """(line number, names) of the header, and the row after it; reads the whole object once, since only that shows a
    gzip cut short."""
    head = b""
    for block in iterate_blocks(source_object):
        if len(head) < _HEADER_BYTES:
            head += block
    for magic, what in _OTHER_KINDS:
        if head.lstrip().startswith(magic):
            raise ObjectRefusedError(
                f"not a {form.name} file but {what}: expected CSV, CSV.gz or Parquet. Narrow `location` in sources.yml "
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
    rows = csv.reader(line.decode(errors="replace") for line in lines[number : number + _FIRST_ROW_LINES])
    return number, next(csv.reader([text])), next(rows, [])


def _is_harmless_tail(columns: SourceColumns, width: int, header_width: int) -> bool:
    """True when what stands behind `width` in the header is a tag or a column that the contract does not name."""
    typed = {int(label[1:]) for label in columns.spelled.values()}
    return width < header_width and not any(index >= width for index in typed)


def _cut_columns(columns: SourceColumns, width: int) -> SourceColumns:
    def keep(labels: Mapping[str, str]) -> dict[str, str]:
        return {name: label for name, label in labels.items() if int(label[1:]) < width}

    keyed = {name: kept for name, labels in columns.keyed.items() if (kept := keep(labels))}
    return SourceColumns(columns.spelled, keyed, keep(columns.extra))


def _match_columns(form: BillFormat, header: list[str], defaults: Mapping[str, str]) -> SourceColumns:
    """Where the contract's columns and the others stand, each as `c<index>`."""
    spelled: dict[str, str] = {}
    keyed: dict[str, dict[str, str]] = {}
    extra: dict[str, str] = {}
    headers = {name.strip(): index for index, name in reversed(list(enumerate(header)))}
    for column, name in form.renamed.items():
        if name not in headers:
            raise ObjectRefusedError(
                f"options.columns of the source: {form.spell(column)} is to be read from {name}, which is not there: "
                f"found {', '.join(header)[:1500]}",
                field=name,
            )
        spelled[column] = f"c{headers[name]}"
    for index, name in enumerate(header):
        if name.strip() in form.renamed.values():
            continue
        if (column := form.find_column(name)) is not None and column not in form.renamed:
            known, label = spelled, column
        elif (part := form.find_key(name)) is not None:
            known, label = keyed.setdefault(part[0], {}), part[1]
        else:
            known, label = extra, name.strip() or f"column_{index + 1}"
        if label in known:
            raise ObjectRefusedError(f"column {name} stands in the header twice: keep one of them", field=name)
        known[label] = f"c{index}"
    missing = [name for name in form.required if name not in spelled and name not in defaults]
    if missing:
        if (dataset := form.find_other_dataset(header)) is not None:
            raise NoBillError(f"the {dataset} dataset of {form.name}, and no bill")
        names = ", ".join(form.spell(name) for name in missing)
        shown = ", ".join(header)
        raise ObjectRefusedError(
            f"missing required column {names}: found {shown[:1500]}. Export it, or give every row a value with "
            f"options.defaults of the source, such as {{{form.spell(missing[0])}: …}}",
            field=form.spell(missing[0]),
            found=shown,
        )
    return SourceColumns(spelled, keyed, extra)


def _detect_date_format(connection: duckdb.DuckDBPyConnection, scan: str, column: str | None) -> str | None:
    """The one order of day and month that makes every billing period start on the first of a month, if it is one."""
    if column is None:
        return None
    first = connection.execute(f"select {column} from ({scan}) limit 1").fetchone()
    if first is None or first[0] is None or "/" not in first[0]:
        return None
    pattern = typed_select.SLASH_DATE_PATTERN
    found = connection.execute(
        f"select distinct trim({column}) from ({scan}) where regexp_matches({column}, '{pattern}')"
    ).fetchall()
    fitting = [
        date_format
        for date_format in (typed_select.MONTH_FIRST, typed_select.DAY_FIRST)
        if all(_is_first_of_month(text, date_format) for (text,) in found)
    ]
    return fitting[0] if len(fitting) == 1 else None


def _is_first_of_month(text: str, date_format: str) -> bool:
    for form in typed_select.slash_formats(date_format):
        try:
            return datetime.strptime(text, form).day == 1
        except ValueError:
            continue
    return False


def _check_types(
    form: BillFormat,
    connection: duckdb.DuckDBPyConnection,
    scan: str,
    described: list[tuple[str, str, str]],
    spelled: Mapping[str, str],
) -> None:
    for name, label in spelled.items():
        column, source, found = described[int(label[1:])]
        if name in form.money_columns:
            allowed, expected = _NUMBER_TYPES, "a decimal or a double"
        elif name in form.instant_columns:
            allowed, expected = _INSTANT_TYPES, "a timestamp"
        else:
            allowed, expected = (*_TEXT_TYPES, *_JSON_TYPES), "text"
        if found.startswith(allowed) and (expected == "text" or not found.endswith("]")):
            continue
        # A column of nothing but nulls has whatever type its writer fell back to.
        counted = connection.execute(f"select count({source}) from ({scan})").fetchone()
        if counted is not None and counted[0]:
            raise ObjectRefusedError(
                f"column {column} has type {found}: expected {expected}. Export it with that type",
                field=column,
                found=found,
            )


def _flatten_types(
    form: BillFormat, columns: Iterable[tuple[str, DuckDBPyType]], parents: tuple[str, ...] = ()
) -> Iterator[tuple[str, str, str]]:
    """(header, SQL, type) of each column; of a record that is no JSON of the contract, of each field in its place."""
    for name, kind in columns:
        path = (*parents, name)
        header = ".".join(path)
        if form.has_records and kind.id == "struct" and form.find_column(header) is None:
            yield from _flatten_types(form, cast("list[tuple[str, DuckDBPyType]]", kind.children), path)
        else:
            yield header, ".".join(typed_select.quote_name(part) for part in path), str(kind)


def _text_of(column: str, found: str, *, is_extra: bool) -> str:
    if is_extra and not found.startswith("VARCHAR"):
        return column
    return (
        f"to_json({column})::varchar"
        if found.startswith(("MAP", "STRUCT")) or found.endswith("]")
        else f"{column}::varchar"
    )
