"""JSON lines of a bill as flat rows of texts: the fields of a record are columns, lists stay JSON.

Numbers are never read as floats: what is written is what lands.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import pyarrow as pa

from ingest.billing.bill_format import BillFormat
from ingest.payload import iterate_blocks, iterate_lines
from ingest.source import ObjectRefusedError, RowSink, SourceObject

_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"
_MOST_SHOWN: Final = 500


@dataclass(frozen=True)
class LineBatch:
    """Some lines: `rows` has a text column `c<index>` for each name of `header`, and `line`, the line's number."""

    header: list[str]
    rows: pa.Table


def is_json(source_object: SourceObject) -> bool:
    """True when the first thing in the object opens a JSON object or array."""
    first = next(iterate_blocks(source_object), b"")
    return first.removeprefix(_BYTE_ORDER_MARK).lstrip()[:1] in (b"{", b"[")


def batch_lines(form: BillFormat, source_object: SourceObject, sink: RowSink, most_rows: int) -> Iterator[LineBatch]:
    """Yield the lines that are JSON objects, and refuse the others.

    A line does not say which columns it might have had, so all of the contract stand in every header. Raises
    `ObjectRefusedError` for a JSON array, which cannot be read with bounded memory.
    """
    records: list[dict[str, str | None]] = []
    numbers: list[int] = []
    for number, line in iterate_lines(source_object):
        if not numbers and line.lstrip().startswith(b"["):
            raise ObjectRefusedError(
                "a JSON array: expected one JSON object a line. Export it as newline-delimited JSON, such as with "
                "bq extract --destination_format NEWLINE_DELIMITED_JSON",
                position=number,
            )
        try:
            records.append(_flatten(form, _read_object(line)))
        except (ValueError, RecursionError) as error:
            sink.refuse_row(number, None, f"not a JSON object: {error}", line.decode(errors="replace")[:_MOST_SHOWN])
            continue
        numbers.append(number)
        if len(records) == most_rows:
            yield _make_batch(form, records, numbers)
            records, numbers = [], []
    if records:
        yield _make_batch(form, records, numbers)


def _make_batch(form: BillFormat, records: list[dict[str, str | None]], numbers: list[int]) -> LineBatch:
    known = {form.spell(name): None for name in form.column_names}
    header = list({**known, **{name: None for record in records for name in record}})
    columns = {
        f"c{index}": pa.array([record.get(name) for record in records], pa.string())
        for index, name in enumerate(header)
    }
    return LineBatch(header, pa.table({**columns, "line": pa.array(numbers, pa.int64())}))


def _read_object(line: bytes) -> dict[str, Any]:
    record = json.loads(line, parse_float=str, parse_int=str, parse_constant=_refuse_constant)
    if not isinstance(record, dict):
        raise ValueError("expected one object a line")
    return record


def _refuse_constant(text: str) -> None:
    raise ValueError(f"{text} is no number")


def _flatten(form: BillFormat, record: dict[str, Any]) -> dict[str, str | None]:
    flat: dict[str, str | None] = {}
    waiting = list(reversed(record.items()))
    while waiting:
        name, value = waiting.pop()
        if isinstance(value, dict) and form.find_column(name) is None:
            waiting += [(f"{name}.{key}", each) for key, each in reversed(value.items())]
        elif isinstance(value, dict | list):
            flat[name] = json.dumps(value, ensure_ascii=False)
        elif isinstance(value, bool):
            flat[name] = str(value).lower()
        else:
            flat[name] = value
    return flat
