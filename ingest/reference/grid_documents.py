"""What the readers of grid data share: rows out of CSV or JSON, and the intervals that a row speaks for."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any, Final

import msgspec

from ingest.payload import JSON_ERRORS, iterate_csv, iterate_lines, read_payload
from ingest.server_options import check_names
from ingest.source import ObjectRefusedError, OptionProblem, RowSink, SourceObject
from ingest.values import parse_instant

_DECODER: Final = msgspec.json.Decoder(float_hook=Decimal)
_EPOCH: Final = datetime(1970, 1, 1)
_YEARS: Final = range(1990, 2200)
_GRANULARITIES: Final = {
    "5_minutes": timedelta(minutes=5),
    "15_minutes": timedelta(minutes=15),
    "hourly": timedelta(hours=1),
    "daily": timedelta(days=1),
}


class GridRowError(Exception):
    """A row that cannot be landed."""

    def __init__(self, field: str | None, reason: str, found: object = "") -> None:
        super().__init__(reason)
        self.field = field
        self.reason = reason
        self.found = str(found)[:200]


@dataclass(frozen=True)
class GridDocument:
    """A CSV's lines by its header, or a JSON document."""

    header: frozenset[str]
    lines: Iterator[tuple[int, Mapping[str, str]]]
    json: Any = None


def open_document(source_object: SourceObject, sink: RowSink) -> GridDocument:
    """Raises `ObjectRefusedError` for JSON that is damaged, and for an object that holds nothing."""
    first = next(iterate_lines(source_object), None)
    if first is None:
        raise ObjectRefusedError("the object holds nothing but blanks: deliver it again")
    if first[1].lstrip().startswith((b"{", b"[")):
        try:
            return GridDocument(frozenset(), iter(()), _DECODER.decode(read_payload(source_object)))
        except JSON_ERRORS as error:
            raise ObjectRefusedError(f"not one JSON document: {error}") from error
    records = iterate_csv(source_object, sink)
    _, header = next(records)
    lines = ((line, dict(zip(header, cells, strict=False))) for line, cells in records)
    return GridDocument(frozenset(header), lines)


def check_year(options: Mapping[str, Any], *others: str) -> Iterator[OptionProblem]:
    """`year`: of averages that do not say theirs; and the names of `others`."""
    yield from check_names(options, ("year", *others))
    if "year" in options and options["year"] not in _YEARS:
        yield OptionProblem("year", repr(options["year"]), "a year, such as 2023")


def span_year(year: object) -> dict[str, datetime]:
    """[starts_at, ends_at) of a year, UTC."""
    if not isinstance(year, int) or year not in _YEARS:
        raise GridRowError("year", "no year: expected one such as 2023", year)
    return {"starts_at": datetime(year, 1, 1), "ends_at": datetime(year + 1, 1, 1)}


def require_year(source_object: SourceObject) -> dict[str, datetime]:
    """The year that the source's options give. Raises `ObjectRefusedError` without one."""
    if "year" not in source_object.options:
        raise ObjectRefusedError(
            "averages of a year that the file does not say: give it with options.year of the source", field="year"
        )
    return span_year(source_object.options["year"])


def span_month(text: object) -> dict[str, datetime]:
    """[starts_at, ends_at) of `2026-10`, UTC."""
    try:
        start = datetime.strptime(str(text), "%Y-%m")
    except ValueError:
        raise GridRowError("period", "no month: expected one such as 2026-10", text) from None
    return {"starts_at": start, "ends_at": (start + timedelta(days=31)).replace(day=1)}


def span_instants(row: Mapping[str, Any]) -> dict[str, datetime]:
    """[ts_start, ts_end) of the contract."""
    start, end = read_instant(row, "ts_start"), read_instant(row, "ts_end")
    if end <= start:
        raise GridRowError("ts_end", "ends before it starts: intervals are [ts_start, ts_end)", row.get("ts_end"))
    return {"starts_at": start, "ends_at": end}


def span_granularity(item: Mapping[str, Any]) -> dict[str, datetime]:
    """The interval that begins at `datetime`, as long as `temporalGranularity` says; an hour where it says nothing."""
    start = read_instant(item, "datetime")
    stated = item.get("temporalGranularity") or "hourly"
    if stated not in _GRANULARITIES:
        raise GridRowError("temporalGranularity", f"expected one of {', '.join(_GRANULARITIES)}", stated)
    return {"starts_at": start, "ends_at": start + _GRANULARITIES[stated]}


def read_instant(row: Mapping[str, Any], field: str) -> datetime:
    """UTC, naive. Raises `GridRowError` for what is no time, or one without an offset: a clock that is turned back
    shows an hour twice."""
    text = str(row.get(field) or "")
    try:
        if datetime.fromisoformat(text).tzinfo is None:
            raise GridRowError(field, "a time without its offset: expected one such as 2026-10-25T00:00:00Z", text)
        return _EPOCH + timedelta(microseconds=parse_instant(text))
    except ValueError:
        raise GridRowError(field, "no time: expected ISO 8601, such as 2026-10-25T00:00:00Z", text) from None


def read_number(row: Mapping[str, Any], field: str) -> Decimal:
    """An exact number of JSON, or of a cell."""
    value = row.get(field)
    try:
        if value is None or isinstance(value, bool):
            raise InvalidOperation
        number = Decimal(str(value).strip())
    except InvalidOperation:
        number = Decimal("nan")
    if not number.is_finite():
        raise GridRowError(field, "no number", value)
    return number


def list_items(document: Any) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """(running number, item with its zone) of Electricity Maps' answers: `history`, `data`, or one alone."""
    number = 0
    for answer in document if isinstance(document, list) else [document]:
        items = answer.get("history") or answer.get("data") or ([answer] if "datetime" in answer else [])
        for item in items:
            number += 1
            yield number, {"zone": answer.get("zone")} | item


def is_electricity_maps(document: Any) -> bool:
    """True for an answer of Electricity Maps, or several in a list."""
    answers = document if isinstance(document, list) else [document]
    return bool(answers) and all(
        isinstance(item, dict) and "zone" in item and not item.keys().isdisjoint({"history", "data", "datetime"})
        for item in answers
    )


def utc_naive(instant: datetime) -> datetime:
    """As the lake holds it."""
    return instant.astimezone(UTC).replace(tzinfo=None)


Read = Callable[[Mapping[str, Any]], dict[str, Any]]
"""From a row as it stands to the columns of a landing table. Raises `GridRowError`."""
