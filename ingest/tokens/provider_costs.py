"""Read what model providers say was used and charged: the usage and cost reports of OpenAI and Anthropic.

Source: pages of `GET /organization/usage/…`, `/organization/costs` (OpenAI), `/organizations/usage_report/messages` and
`/organizations/cost_report` (Anthropic) saved as JSON, one or more a file, gzip or not, or asked of the server
(`provider_server`). Buckets are of a UTC day or less; restated for about three days. They follow the invoice and are
none. Landing table: provider_results.
"""

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar, Final

import msgspec
import pyarrow as pa

from ingest.contracts import PROVIDER_RESULTS, LandingTable
from ingest.payload import read_payload
from ingest.pulled_lines import is_pulled, iterate_pulled
from ingest.source import ObjectRefusedError, RowSink, ServerKind, SourceObject
from ingest.tokens.provider_results import ResultError, read_result
from ingest.tokens.provider_server import ProviderServerKind, read_asked

_ROWS_PER_BATCH: Final = 20_000
_SCHEMA: Final = pa.schema([*PROVIDER_RESULTS.columns, ("_position", pa.int64())])
_DAY: Final = timedelta(days=1)
_BLANKS: Final = re.compile(r"\s*")
_EXPECTED: Final = "expected a page of a usage or cost report: an object with `data`, a list of buckets with `results`"


class _Bucket(msgspec.Struct):
    results: list[msgspec.Raw]
    start_time: int | None = None  # OpenAI: seconds since 1970
    end_time: int | None = None
    starting_at: datetime | None = None  # Anthropic
    ending_at: datetime | None = None


class _Page(msgspec.Struct):
    data: list[_Bucket]


class ProviderCosts:
    """One row per result; grain: provider, report, service, bucket and whatever it was grouped by."""

    kind: ClassVar[str] = "provider_costs"
    reader_version: ClassVar[int] = 1
    table: ClassVar[LandingTable] = PROVIDER_RESULTS
    refuses_whole_deliveries: ClassVar[bool] = False
    partition_date_sql: ClassVar[str] = "cast(bucket_start_at as date)"
    server: ClassVar[ServerKind | None] = ProviderServerKind()

    def read(self, source_object: SourceObject, sink: RowSink) -> None:
        """Write one row per result; refuse malformed ones by running number.

        Raises `ObjectRefusedError` when it is no page of a report, or one with a bucket that is not of a day.
        """
        rows: list[dict[str, Any]] = []
        position = 0
        for start, end, results in _iterate_buckets(source_object):
            for result in results:
                position += 1
                try:
                    row = read_result(result)
                except ResultError as error:
                    sink.refuse_row(position, None, str(error), bytes(result).decode(errors="replace")[:500])
                    continue
                rows.append(row | {"bucket_start_at": start, "bucket_end_at": end, "_position": position})
            if len(rows) >= _ROWS_PER_BATCH:
                sink.write(pa.Table.from_pylist(rows, schema=_SCHEMA))
                rows.clear()
        if rows:
            sink.write(pa.Table.from_pylist(rows, schema=_SCHEMA))


def _iterate_buckets(source_object: SourceObject) -> Iterator[tuple[datetime, datetime, list[msgspec.Raw]]]:
    """Yield (start, end, results), times naive UTC."""
    for asked, answer in _iterate_pages(source_object):
        try:
            page = msgspec.json.decode(answer, type=_Page)
        except msgspec.DecodeError as error:
            raise ObjectRefusedError(f"{error}: {_EXPECTED}", found=answer[:200].decode(errors="replace")) from error
        for number, bucket in enumerate(page.data):
            start, end = _read_time(bucket, number, is_end=False), _read_time(bucket, number, is_end=True)
            if not start < end or end - start > _DAY or (end - timedelta(microseconds=1)).date() != start.date():
                raise ObjectRefusedError(
                    f"bucket {start} to {end} is not inside one day of UTC: ask with bucket_width 1d", field="data"
                )
            if asked is not None and not (asked[0] <= start and end <= asked[1]):
                raise ObjectRefusedError(
                    f"bucket {start} to {end}, outside {asked[0]} to {asked[1]}, which was asked for", field="data"
                )
            yield start, end, bucket.results


def _read_time(bucket: _Bucket, number: int, *, is_end: bool) -> datetime:
    seconds, instant = (bucket.end_time, bucket.ending_at) if is_end else (bucket.start_time, bucket.starting_at)
    if seconds is not None:
        return datetime.fromtimestamp(seconds, UTC).replace(tzinfo=None)
    if instant is None or instant.tzinfo is None:
        raise ObjectRefusedError(f"data[{number}] does not say its time: {_EXPECTED}", field="data")
    return instant.astimezone(UTC).replace(tzinfo=None)


def _iterate_pages(source_object: SourceObject) -> Iterator[tuple[tuple[datetime, datetime] | None, bytes]]:
    """Yield (days asked for, page); nobody knows what a saved page was asked for."""
    if is_pulled(source_object):
        for asked, answer in iterate_pulled(source_object):
            yield read_asked(asked), answer
        return
    try:
        text = read_payload(source_object).decode()
    except UnicodeDecodeError as error:
        raise ObjectRefusedError(f"not UTF-8: {error.reason} at byte {error.start}") from error
    decoder, at = json.JSONDecoder(), _skip_blanks(text, 0)
    while at < len(text):
        try:
            _, end = decoder.raw_decode(text, at)
        except (json.JSONDecodeError, RecursionError) as error:
            raise ObjectRefusedError(f"not JSON: {error}: {_EXPECTED}", found=text[at : at + 200]) from error
        yield None, text[at:end].encode()
        at = _skip_blanks(text, end)


def _skip_blanks(text: str, at: int) -> int:
    found = _BLANKS.match(text, at)
    return found.end() if found else at
