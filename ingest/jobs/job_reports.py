"""What the readers of jobs told as JSON share: records out of any layout, and rows of `job_reports`."""

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final

import msgspec
import pyarrow as pa

from ingest.contracts import JOB_REPORTS
from ingest.payload import JSON_ERRORS, iterate_records
from ingest.source import RowSink, SourceObject

_DECODER: Final = msgspec.json.Decoder(float_hook=Decimal)
_ROWS_PER_BATCH: Final = 20_000
_EARLIEST: Final = Decimal(1_000_000_000)  # 2001: what is before was never set, or is another unit
_LATEST: Final = Decimal(7_258_118_400)  # 2200
_MOST_DIGITS: Final = 18  # a count is a 64-bit integer, and int() of 1e999999 takes minutes
_MOST_SHOWN: Final = 200

PARTITION_DATE_SQL: Final = "cast(coalesce(submitted_at, started_at, reported_at) as date)"


class JobFieldError(Exception):
    """A record that cannot be landed."""

    def __init__(self, field: str, reason: str, found: object = "") -> None:
        super().__init__(reason)
        self.field = field
        self.reason = reason
        self.found = str(found)[:_MOST_SHOWN]


def write_jobs(
    source_object: SourceObject,
    sink: RowSink,
    envelopes: tuple[str, ...],
    read_record: Callable[[Mapping[str, Any]], dict[str, Any]],
) -> None:
    """Write a row for each record, refuse the others by running number and field.

    Records stand one a line, in an array, or in an object under one of `envelopes`.
    """
    common = {
        "cluster": source_object.options.get("cluster"),
        "reported_at": source_object.modified_at.astimezone(UTC).replace(tzinfo=None),
    }
    rows: list[dict[str, Any]] = []
    for position, record in _iterate(source_object, envelopes):
        try:
            if not isinstance(record, dict):
                raise JobFieldError("", "no JSON object: every job is one", record)
            row = {name: value for name, value in read_record(record).items() if value is not None}
        except JobFieldError as error:
            sink.refuse_row(position, error.field, error.reason, error.found)
            continue
        rows.append(common | row | {"_position": position})
        if len(rows) >= _ROWS_PER_BATCH:
            _write(sink, rows)
    if rows:
        _write(sink, rows)


def read_text(record: Mapping[str, Any], field: str) -> str | None:
    """The text of a field; numbers are texts, and blanks and a dash nothing."""
    value = record.get(field)
    if value is None or isinstance(value, dict | list | bool):
        return None
    text = str(value).strip()
    return None if text in ("", "-") else text


def read_instant(record: Mapping[str, Any], field: str, units_per_second: int = 1) -> datetime | None:
    """UTC of an epoch; null, 0 and -1 say that it has not been. Raises `JobFieldError`."""
    number = read_number(record, field)
    if number is None or number in (0, -1):
        return None
    seconds = number / units_per_second
    if not _EARLIEST <= seconds < _LATEST:
        unit = "seconds" if units_per_second == 1 else "milliseconds"
        raise JobFieldError(field, f"no time between 2001 and 2200 in {unit} since 1970", number)
    return datetime.fromtimestamp(int(seconds), UTC).replace(
        tzinfo=None, microsecond=int(seconds * 1_000_000) % 1_000_000
    )


def read_number(record: Mapping[str, Any], field: str) -> Decimal | None:
    """An exact number. Raises `JobFieldError` for what is none."""
    value = record.get(field)
    if value is None:
        return None
    if not isinstance(value, int | Decimal) or isinstance(value, bool) or not Decimal(value).is_finite():
        raise JobFieldError(field, "no number", value)
    number = Decimal(value)
    if number and abs(number.adjusted()) >= _MOST_DIGITS:
        raise JobFieldError(field, f"a number of {_MOST_DIGITS} digits or more", number)
    return number


def read_seconds(record: Mapping[str, Any], field: str) -> float | None:
    """A span of time that is not negative. Raises `JobFieldError`."""
    number = read_number(record, field)
    if number is not None and number < 0:
        raise JobFieldError(field, "a span of time below 0", number)
    return None if number is None else float(number)


def read_count(record: Mapping[str, Any], field: str) -> int | None:
    """A whole number that is not negative. Raises `JobFieldError`."""
    number = read_number(record, field)
    if number is not None and (number < 0 or number != int(number)):
        raise JobFieldError(field, "no count", number)
    return None if number is None else int(number)


def _iterate(source_object: SourceObject, envelopes: tuple[str, ...]) -> Iterator[tuple[int, Any]]:
    number = 0
    for position, text in iterate_records(source_object):
        try:
            record = _DECODER.decode(text)
        except JSON_ERRORS as error:
            number += 1
            yield number, f"line {position}: {error}"
            continue
        for item in _open_envelope(record, envelopes):
            number += 1
            yield number, item


def _open_envelope(record: Any, envelopes: tuple[str, ...]) -> list[Any]:
    inside = [record[name] for name in envelopes if name in record] if isinstance(record, dict) else []
    return inside[0] if inside and isinstance(inside[0], list) else [record]


def _write(sink: RowSink, rows: list[dict[str, Any]]) -> None:
    sink.write(pa.Table.from_pylist(rows, schema=pa.schema([*JOB_REPORTS.columns, ("_position", pa.int64())])))
    rows.clear()
