"""JSON lines of a bill as flat rows of texts: the fields of a record are columns, lists stay JSON.

Numbers are never read as floats: what is written is what lands.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import msgspec
import pyarrow as pa

from ingest.billing.bill_format import BillFormat
from ingest.payload import iterate_blocks, iterate_lines
from ingest.source import ObjectRefusedError, RowSink, SourceObject

_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"
_MOST_SHOWN: Final = 500
_RECORDS_PER_TABLE: Final = 10_000  # Python's records are many times as large as the engine's texts
_TABLES_PER_BATCH: Final = 10  # and planning the select of a batch takes as long as reading 10,000 rows
_DECODER: Final = msgspec.json.Decoder(float_hook=str)
_ENCODER: Final = msgspec.json.Encoder()


@dataclass(frozen=True)
class LineBatch:
    """Some lines: `rows` has a text column `c<index>` for each name of `header`, and `line`, the line's number."""

    header: list[str]
    rows: pa.Table


def is_json(source_object: SourceObject) -> bool:
    """True when the first thing in the object opens a JSON object or array."""
    first = next(iterate_blocks(source_object), b"")
    return first.removeprefix(_BYTE_ORDER_MARK).lstrip()[:1] in (b"{", b"[")


def batch_lines(form: BillFormat, source_object: SourceObject, sink: RowSink) -> Iterator[LineBatch]:
    """Yield the lines that are JSON objects, and refuse the others.

    A line does not say which columns it might have had, so all of the contract stand in every header. Raises
    `ObjectRefusedError` for a JSON array, which cannot be read with bounded memory.
    """
    flattener = _Flattener(form)
    header = {form.spell(name): None for name in form.column_names}
    records: list[dict[str, str | None]] = []
    numbers: list[int] = []
    pending: list[pa.Table] = []
    for number, line in iterate_lines(source_object):
        if not numbers and not pending and line.lstrip().startswith(b"["):
            raise ObjectRefusedError(
                "a JSON array: expected one JSON object a line. Export it as newline-delimited JSON, such as with "
                "bq extract --destination_format NEWLINE_DELIMITED_JSON",
                position=number,
            )
        try:
            records.append(flattener.flatten(_read_object(line)))
        except (msgspec.DecodeError, ValueError, RecursionError) as error:
            sink.refuse_row(number, None, f"not a JSON object: {error}", line.decode(errors="replace")[:_MOST_SHOWN])
            continue
        numbers.append(number)
        if len(records) == _RECORDS_PER_TABLE:
            pending.append(_make_table(header, records, numbers))
            records, numbers = [], []
            if len(pending) == _TABLES_PER_BATCH:
                yield _make_batch(header, pending)
                pending = []
    if records:
        pending.append(_make_table(header, records, numbers))
    if pending:
        yield _make_batch(header, pending)


def _make_table(header: dict[str, None], records: list[dict[str, str | None]], numbers: list[int]) -> pa.Table:
    """Records as columns of texts. `header` learns the names that are new, so that columns never change places."""
    header.update({name: None for record in records for name in record})
    # One array of records: the engine's own loop over them, not one of ours for each column.
    rows = pa.array(records, pa.struct([(name, pa.string()) for name in header]))
    columns = {f"c{index}": column for index, column in enumerate(rows.flatten())}
    return pa.table({"line": pa.array(numbers, pa.int64()), **columns})


def _make_batch(header: dict[str, None], tables: list[pa.Table]) -> LineBatch:
    return LineBatch(list(header), pa.concat_tables(tables, promote_options="default"))


def _read_object(line: bytes) -> dict[str, Any]:
    record = _DECODER.decode(line)
    if not isinstance(record, dict):
        raise ValueError("expected one object a line")
    return record


class _Flattener:
    """Makes the fields of records columns, but for those records that a column of the contract takes whole."""

    def __init__(self, form: BillFormat) -> None:
        self._form = form
        self._is_column: dict[str, bool] = {}

    def flatten(self, record: dict[str, Any]) -> dict[str, str | None]:
        flat: dict[str, str | None] = {}
        self._add(flat, record, "")
        return flat

    def _add(self, flat: dict[str, str | None], record: dict[str, Any], parent: str) -> None:
        for key, value in record.items():
            name = parent + key
            kind = type(value)  # what a decoder makes has no subclasses, and asking for those takes longer
            if kind is str or value is None:
                flat[name] = value
            elif kind is dict and not self._takes_whole(name):
                self._add(flat, value, f"{name}.")
            elif kind is dict or kind is list:
                flat[name] = _ENCODER.encode(value).decode()
            else:
                flat[name] = str(value).lower() if kind is bool else str(value)

    def _takes_whole(self, name: str) -> bool:
        if name not in self._is_column:
            self._is_column[name] = self._form.find_column(name) is not None
        return self._is_column[name]
