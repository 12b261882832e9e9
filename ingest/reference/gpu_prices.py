"""Read list prices of machines with GPUs out of the catalogues that are about, told apart by their content.

Source: AWS's price list of EC2, SkyPilot's `vms.csv` (of a cloud), the cloud-gpus table, cloudprice's JSON, OpenCost's
pricing CSV, and SKUs of Google's Cloud Billing Catalog, as files or asked over gRPC (`cloud_billing`). A catalogue says
what holds on its day and is kept beside the earlier ones: history is never repriced. Landing table: gpu_prices.
"""

import itertools
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final

import pyarrow as pa

from ingest.contracts import GPU_PRICES, LandingTable
from ingest.payload import iterate_csv, iterate_lines, read_payload
from ingest.reference import aws_price_list
from ingest.reference.gcp_skus import read_sku
from ingest.reference.gpu_price_layouts import (
    PriceError,
    read_cloud_gpus,
    read_cloudprice,
    read_opencost,
    read_skypilot,
)
from ingest.server_options import check_google_names, check_names
from ingest.source import ObjectRefusedError, OptionProblem, RowSink, ServerKind, SourceObject
from ingest.values import parse_instant

if TYPE_CHECKING:
    from ingest.reference.cloud_billing import CloudBilling

_ROWS_PER_BATCH: Final = 20_000
_HEAD_LINES: Final = 10  # in which a JSON document of many lines says whose it is
_CSV_LAYOUTS: Final[tuple[tuple[frozenset[str], Callable[..., Any]], ...]] = (
    (frozenset({"InstanceType", "AcceleratorName", "Price", "Region"}), read_skypilot),
    (frozenset({"Cloud", "GPU Type", "On-demand", "Name"}), read_cloud_gpus),
    (frozenset({"EndTimestamp", "InstanceID", "AssetClass", "MarketPriceHourly"}), read_opencost),
)
_OWN_OPTIONS: Final = ("provider", "as_of")

Prices = Iterator[tuple[int, "Sequence[Mapping[str, Any]] | PriceError"]]


class CloudBillingKind:
    """Google's Cloud Billing Catalog, a day of price versions at a time."""

    schemes: ClassVar[tuple[str, ...]] = ("cloudbilling",)
    window: ClassVar[timedelta] = timedelta(days=1)
    re_read: ClassVar[timedelta] = timedelta(days=1)
    is_append_only: ClassVar[bool] = False

    def check_options(self, options: Mapping[str, Any]) -> Iterator[OptionProblem]:
        """`endpoint_url`, and of the common ones those that choose days: credentials are Google's own affair."""
        yield from check_google_names(options)

    def connect(self, location: str, options: Mapping[str, Any], base_dir: Path) -> "CloudBilling":
        # Google's library takes longer to import than all else: only who asks it waits for it.
        from ingest.reference.cloud_billing import CloudBilling

        return CloudBilling(location, options)


class GpuPrices:
    """One row per price: a machine, or a part of one, in a region, on demand or otherwise."""

    kind: ClassVar[str] = "gpu_prices"
    reader_version: ClassVar[int] = 1
    table: ClassVar[LandingTable] = GPU_PRICES
    refuses_whole_deliveries: ClassVar[bool] = False
    partition_date_sql: ClassVar[str] = "cast(as_of as date)"
    server: ClassVar[ServerKind | None] = CloudBillingKind()

    def check_options(self, options: Mapping[str, Any]) -> Iterator[OptionProblem]:
        """`provider`: of a catalogue that names none. `as_of`: the day of one that has none; else its object's."""
        yield from check_names(options, _OWN_OPTIONS)
        if not isinstance(options.get("provider", "aws"), str):
            yield OptionProblem("provider", repr(options["provider"]), "a name, such as aws")
        try:
            read_as_of(options)
        except ValueError:
            yield OptionProblem("as_of", repr(options["as_of"]), "a day, such as 2026-10-01")

    def read(self, source_object: SourceObject, sink: RowSink) -> None:
        """Write every readable price, refuse the others by line or running number.

        Raises `ObjectRefusedError` for what is none of the catalogues, and for prices in another currency than USD.
        """
        common = {
            "as_of": read_as_of(source_object.options)
            or source_object.modified_at.astimezone(UTC).replace(tzinfo=None),
            "provider": source_object.options.get("provider"),
        }
        rows: list[dict[str, Any]] = []
        for position, prices in _iterate_prices(source_object, sink):
            if isinstance(prices, PriceError):
                sink.refuse_row(position, prices.field, prices.reason, prices.found)
                continue
            rows += [
                common | {name: value for name, value in price.items() if value is not None} | {"_position": position}
                for price in prices
            ]
            if len(rows) >= _ROWS_PER_BATCH:
                _write(sink, rows)
        if rows:
            _write(sink, rows)


def read_as_of(options: Mapping[str, Any]) -> datetime | None:
    """The option `as_of`, UTC without zone. Raises `ValueError` for what is no day."""
    given = options.get("as_of")
    return None if given is None else datetime(1970, 1, 1) + timedelta(microseconds=parse_instant(str(given)))


def _iterate_prices(source_object: SourceObject, sink: RowSink) -> Prices:
    """Yield (line or running number, the prices of one entry, or what is wrong with it)."""
    first = next(iterate_lines(source_object), None)
    if first is None:
        raise ObjectRefusedError("the object holds nothing but blanks: deliver it again")
    if aws_price_list.is_price_list(first[1]):
        yield from aws_price_list.iterate_price_lines(source_object, sink)
        return
    if first[1].lstrip().startswith((b"{", b"[")):
        yield from _iterate_json(source_object, first[1])
        return
    lines = iterate_csv(source_object, sink)
    _, header = next(lines)
    layout = next((read for names, read in _CSV_LAYOUTS if names <= set(header)), None)
    if layout is None:
        raise ObjectRefusedError(
            "no catalogue of prices: expected columns of SkyPilot (InstanceType, AcceleratorName, Price), cloud-gpus "
            f"(Cloud, GPU Type, On-demand) or OpenCost (AssetClass, MarketPriceHourly); found {', '.join(header)[:500]}"
        )
    for position, cells in lines:
        yield position, _try(layout, dict(zip(header, cells, strict=False)))


def _iterate_json(source_object: SourceObject, first_line: bytes) -> Prices:
    if any(b'"offerCode"' in line for _, line in itertools.islice(iterate_lines(source_object), _HEAD_LINES)):
        yield from aws_price_list.iterate_json(source_object)
        return
    try:
        json.loads(first_line)
        is_lines = True
    except ValueError:
        is_lines = False
    if is_lines and b'"skus"' not in first_line and b'"as_of"' not in first_line:
        for number, text in iterate_lines(source_object):
            yield number, _try(lambda line: read_sku(json.loads(line, parse_float=Decimal)), text)
        return
    try:
        document = json.loads(read_payload(source_object), parse_float=Decimal)
    except ValueError as error:
        raise ObjectRefusedError(f"not JSON: {error}") from error
    if isinstance(document, dict) and isinstance(document.get("skus"), list):
        for number, sku in enumerate(document["skus"], 1):
            yield number, _try(read_sku, sku)
    elif isinstance(document, dict) and "as_of" in document and "currency" in document:
        if document["currency"] != "USD":
            raise ObjectRefusedError("prices are not in USD", field="currency", found=str(document["currency"]))
        entries = read_cloudprice(document)
        for number, entry in enumerate(entries, 1):
            yield number, entry
    else:
        raise ObjectRefusedError("no catalogue of prices: expected `skus` of Google's, or cloudprice's `as_of`")


def _try(read: Callable[[Any], Sequence[Mapping[str, Any]]], entry: Any) -> Sequence[Mapping[str, Any]] | PriceError:
    try:
        return read(entry)
    except PriceError as error:
        return error
    except ValueError as error:
        return PriceError(None, f"not JSON: {error}")


def _write(sink: RowSink, rows: list[dict[str, Any]]) -> None:
    schema = pa.schema([*GPU_PRICES.columns, ("_position", pa.int64())])
    sink.write(pa.Table.from_pylist(rows, schema=schema))
    rows.clear()
