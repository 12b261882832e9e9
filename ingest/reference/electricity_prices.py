"""Read what a kilowatt-hour costs in a zone: hour by hour on a market, or on average of a month or a year at retail.

Source: a CSV contract of our own (zone, ts_start, ts_end, price_per_kwh or price_per_mwh, currency), rows of the US
Energy Information Administration's retail sales (API v2), its averages by state, and day-ahead prices in Electricity
Maps' shape. Prices below 0 are real. They are told again when they are restated: the newest counts. Landing table:
electricity_prices.
"""

import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any, ClassVar, Final

import pyarrow as pa

from ingest.contracts import ELECTRICITY_PRICES, LandingTable
from ingest.reference.grid_documents import (
    GridDocument,
    GridRowError,
    Read,
    check_year,
    is_electricity_maps,
    list_items,
    open_document,
    read_instant,
    read_number,
    require_year,
    span_granularity,
    span_instants,
    span_month,
    utc_naive,
)
from ingest.source import ObjectRefusedError, OptionProblem, RowSink, ServerKind, SourceObject
from ingest.values import round_money

_KWH_PER_MWH: Final = 1_000
_CENTS: Final = 100
_CENTS_UNITS: Final = ("cents per kilowatt-hour", "cents per kilowatthour")
_CURRENCY: Final = re.compile(r"[A-Z]{3}")


class ElectricityPrices:
    """One row per zone, sector and interval, as one object tells it."""

    kind: ClassVar[str] = "electricity_prices"
    reader_version: ClassVar[int] = 1
    table: ClassVar[LandingTable] = ELECTRICITY_PRICES
    refuses_whole_deliveries: ClassVar[bool] = False
    partition_date_sql: ClassVar[str] = "cast(starts_at as date)"
    server: ClassVar[ServerKind | None] = None

    def check_options(self, options: Mapping[str, Any]) -> Iterator[OptionProblem]:
        """`year`: of averages that do not say theirs. `sector`: of averages by state, COM where it is not given."""
        yield from check_year(options, "sector")
        if not isinstance(options.get("sector", "COM"), str):
            yield OptionProblem("sector", repr(options["sector"]), "a sector, such as COM or IND")

    def read(self, source_object: SourceObject, sink: RowSink) -> None:
        """Write every readable price, refuse the others by line or running number.

        Raises `ObjectRefusedError` for what is none of the layouts, and for averages without a year.
        """
        layout, items, read = _choose(source_object, open_document(source_object, sink))
        common = {"layout": layout, "published_at": utc_naive(source_object.modified_at)}
        rows: list[dict[str, Any]] = []
        for position, item in items:
            try:
                row = common | read(item)
                if not row["zone"]:
                    raise GridRowError("zone", "no zone: a price of nowhere")
                rows.append(row | {"_position": position})
            except GridRowError as error:
                sink.refuse_row(position, error.field, error.reason, error.found)
        schema = pa.schema([*ELECTRICITY_PRICES.columns, ("_position", pa.int64())])
        sink.write(pa.Table.from_pylist(rows, schema=schema))


def _choose(
    source_object: SourceObject, document: GridDocument
) -> tuple[str, Iterator[tuple[int, Mapping[str, Any]]], Read]:
    if {"zone", "ts_start", "ts_end", "currency"} <= document.header and (
        "price_per_kwh" in document.header or "price_per_mwh" in document.header
    ):
        return "contract", document.lines, _read_contract
    if {"description", "units", "cost"} <= document.header:
        span, sector = require_year(source_object), source_object.options.get("sector", "COM")
        return "eia_states", document.lines, lambda line: _read_state(line) | span | {"sector": sector}
    if isinstance(document.json, dict) and isinstance(document.json.get("response"), dict):
        rows = document.json["response"].get("data")
        if isinstance(rows, list):
            return "eia", iter(enumerate(rows, 1)), _read_sales
    if is_electricity_maps(document.json):
        return "electricity_maps", list_items(document.json), _read_electricity_maps
    raise ObjectRefusedError(
        "no electricity prices: expected columns zone, ts_start, ts_end, currency and price_per_kwh or price_per_mwh, "
        "retail sales of EIA (response.data), or an answer of Electricity Maps; found "
        f"{', '.join(sorted(document.header))[:300] or 'JSON'}"
    )


def _read_contract(line: Mapping[str, Any]) -> dict[str, Any]:
    if line.get("price_per_kwh"):
        price = read_number(line, "price_per_kwh")
    else:
        price = read_number(line, "price_per_mwh") / _KWH_PER_MWH
    return {"zone": line["zone"], "sector": line.get("sector") or None} | _tell(price, line.get("currency"), line)


def _tell(price: Decimal, currency: object, line: Mapping[str, Any]) -> dict[str, Any]:
    if not isinstance(currency, str) or not _CURRENCY.fullmatch(currency):
        raise GridRowError("currency", "expected three capital letters (ISO 4217), such as EUR", currency)
    return {"price_per_kwh": _round(price), "currency": currency, **span_instants(line)}


def _read_sales(row: Mapping[str, Any]) -> dict[str, Any]:
    if row.get("price-units") not in _CENTS_UNITS:
        raise GridRowError("price-units", f"expected {_CENTS_UNITS[0]}", row.get("price-units"))
    return {
        "zone": f"US-{row['stateid']}" if row.get("stateid") not in (None, "", "US") else row.get("stateid"),
        "sector": row.get("sectorid"),
        "price_per_kwh": _round(read_number(row, "price") / _CENTS),
        "currency": "USD",
        **span_month(row.get("period")),
    }


def _read_state(line: Mapping[str, Any]) -> dict[str, Any]:
    if line["units"] not in _CENTS_UNITS:
        raise GridRowError("units", f"expected {_CENTS_UNITS[1]}", line["units"])
    name = line["description"].strip()
    price = _round(read_number(line, "cost") / _CENTS)
    return {"zone": name if name == "US" or not name else f"US-{name}", "price_per_kwh": price, "currency": "USD"}


def _read_electricity_maps(item: Mapping[str, Any]) -> dict[str, Any]:
    currency, _, unit = str(item.get("unit") or "").partition("/")
    if unit not in ("MWh", "kWh") or not _CURRENCY.fullmatch(currency):
        raise GridRowError("unit", "expected a currency and a unit, such as EUR/MWh", item.get("unit"))
    price = read_number(item, "value")
    published = {"published_at": read_instant(item, "updatedAt")} if item.get("updatedAt") else {}
    return {
        "zone": item["zone"],
        "price_per_kwh": _round(price / _KWH_PER_MWH if unit == "MWh" else price),
        "currency": currency,
        **span_granularity(item),
        **published,
    }


def _round(price: Decimal) -> Decimal:
    try:
        return round_money(price)
    except ValueError as error:
        raise GridRowError("price_per_kwh", str(error), price) from None
