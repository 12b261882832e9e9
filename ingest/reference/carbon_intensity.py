"""Read what a kilowatt-hour of a grid emits: grams of CO2 equivalent, hour by hour or on a year's average.

Source: answers of Electricity Maps; codecarbon's cloud regions, countries and US states; Cloud Carbon Footprint's
factors of AWS regions; a CSV contract of our own (zone, ts_start, ts_end, gco2e_per_kwh). Units differ and are made
grams per kilowatt-hour. Estimates are replaced later, so an interval may stand in several objects: the newest counts.
Landing table: carbon_intensity.
"""

from collections.abc import Iterator, Mapping
from decimal import ROUND_HALF_UP, Decimal
from typing import Any, ClassVar, Final

import pyarrow as pa

from ingest.contracts import CARBON_INTENSITY, LandingTable
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
    span_year,
    utc_naive,
)
from ingest.source import ObjectRefusedError, OptionProblem, RowSink, ServerKind, SourceObject

_STATES_UNIT: Final = "lbs/MWh"
_GRAMS_PER_POUND: Final = Decimal("453.59237")
_GRAMS_PER_TON: Final = 1_000_000
_KWH_PER_MWH: Final = 1_000
_MOST_GRAMS: Final = 5_000  # lignite is below 1,300: more is another unit
_RATE_QUANTUM: Final = Decimal(1).scaleb(-9)
_FACTOR_TYPES: Final = ("lifecycle", "direct", None)
_BASES: Final = ("location", "market")
_FLAGS: Final = {"true": True, "false": False, "": None}


class CarbonIntensity:
    """One row per zone and interval, as one object tells it."""

    kind: ClassVar[str] = "carbon_intensity"
    reader_version: ClassVar[int] = 1
    table: ClassVar[LandingTable] = CARBON_INTENSITY
    refuses_whole_deliveries: ClassVar[bool] = False
    partition_date_sql: ClassVar[str] = "cast(starts_at as date)"
    server: ClassVar[ServerKind | None] = None

    def check_options(self, options: Mapping[str, Any]) -> Iterator[OptionProblem]:
        """`year`: of averages that do not say theirs."""
        yield from check_year(options)

    def read(self, source_object: SourceObject, sink: RowSink) -> None:
        """Write every readable row, refuse the others by line or running number.

        Raises `ObjectRefusedError` for what is none of the layouts, and for averages without a year.
        """
        layout, items, read = _choose(source_object, open_document(source_object, sink))
        common = {"layout": layout, "published_at": utc_naive(source_object.modified_at), "basis": "location"}
        rows: list[dict[str, Any]] = []
        for position, item in items:
            try:
                row = common | read(item)
                row["gco2e_per_kwh"] = _check_grams(row["gco2e_per_kwh"])
                if not row["zone"]:
                    raise GridRowError("zone", "no zone: a figure of nowhere")
                rows.append(row | {"_position": position})
            except GridRowError as error:
                sink.refuse_row(position, error.field, error.reason, error.found)
        schema = pa.schema([*CARBON_INTENSITY.columns, ("_position", pa.int64())])
        sink.write(pa.Table.from_pylist(rows, schema=schema))


def _choose(
    source_object: SourceObject, document: GridDocument
) -> tuple[str, Iterator[tuple[int, Mapping[str, Any]]], Read]:
    if {"zone", "ts_start", "ts_end", "gco2e_per_kwh"} <= document.header:
        return "contract", document.lines, _read_contract
    if {"provider", "region", "impact"} <= document.header:
        return "codecarbon_regions", document.lines, _in_year(_read_region, source_object)
    if {"Region", "CO2e (metric ton/kWh)"} <= document.header:
        return "ccf_aws", document.lines, _in_year(_read_aws_region, source_object)
    if is_electricity_maps(document.json):
        return "electricity_maps", list_items(document.json), _read_electricity_maps
    if isinstance(document.json, dict):
        entries = [item for item in document.json.values() if isinstance(item, dict)]
        if any("regionCode" in item for item in entries):
            return "codecarbon_usa", _list_states(document.json), _in_year(_read_state, source_object)
        if any("carbon_intensity" in item for item in entries):
            return "codecarbon_countries", iter(enumerate(entries, 1)), _read_country
    raise ObjectRefusedError(
        "no carbon intensities: expected columns zone, ts_start, ts_end, gco2e_per_kwh, an answer of Electricity Maps, "
        f"or a file of codecarbon or Cloud Carbon Footprint; found {', '.join(sorted(document.header))[:300] or 'JSON'}"
    )


def _in_year(read: Read, source_object: SourceObject) -> Read:
    span = require_year(source_object)
    return lambda row: read(row) | span


def _list_states(document: Mapping[str, Any]) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """Entries by state, in the unit that the one named `_unit` states for all."""
    unit = (document.get("_unit") or {}).get("emissions")
    if unit != _STATES_UNIT:
        raise ObjectRefusedError(f"expected _unit.emissions {_STATES_UNIT}", field="_unit", found=str(unit))
    return iter(enumerate((item for name, item in document.items() if name != "_unit"), 1))


def _read_contract(line: Mapping[str, Any]) -> dict[str, Any]:
    factor_type, basis = line.get("factor_type") or None, line.get("basis") or "location"
    flag = (line.get("is_estimated") or "").strip().lower()
    if factor_type not in _FACTOR_TYPES:
        raise GridRowError("factor_type", "expected lifecycle or direct", factor_type)
    if basis not in _BASES:
        raise GridRowError("basis", "expected location or market", basis)
    if flag not in _FLAGS:
        raise GridRowError("is_estimated", "expected true or false", flag)
    return {
        "zone": line["zone"],
        "gco2e_per_kwh": read_number(line, "gco2e_per_kwh"),
        "factor_type": factor_type,
        "basis": basis,
        "is_estimated": _FLAGS[flag],
        **span_instants(line),
    }


def _read_electricity_maps(item: Mapping[str, Any]) -> dict[str, Any]:
    factor_type = item.get("emissionFactorType")
    if factor_type not in _FACTOR_TYPES:
        raise GridRowError("emissionFactorType", "expected lifecycle or direct", factor_type)
    published = {"published_at": read_instant(item, "updatedAt")} if item.get("updatedAt") else {}
    return {
        "zone": item["zone"],
        "gco2e_per_kwh": read_number(item, "carbonIntensity"),
        "factor_type": factor_type,
        "is_estimated": item.get("isEstimated"),
        **span_granularity(item),
        **published,
    }


def _read_region(line: Mapping[str, Any]) -> dict[str, Any]:
    """Grams per kilowatt-hour."""
    return {"zone": f"{line['provider']}/{line['region']}", "gco2e_per_kwh": read_number(line, "impact")}


def _read_aws_region(line: Mapping[str, Any]) -> dict[str, Any]:
    tons = read_number(line, "CO2e (metric ton/kWh)")
    return {"zone": f"aws/{line['Region']}", "gco2e_per_kwh": tons * _GRAMS_PER_TON}


def _read_state(item: Mapping[str, Any]) -> dict[str, Any]:
    if not item.get("regionCode"):
        raise GridRowError("regionCode", "no state: a figure of nowhere")
    grams = read_number(item, "emissions") * _GRAMS_PER_POUND / _KWH_PER_MWH
    zone = "US" if item["regionCode"] == "usa" else f"US-{item['regionCode']}"
    return {"zone": zone, "gco2e_per_kwh": grams}


def _read_country(item: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "zone": item.get("iso_code"),
        "gco2e_per_kwh": read_number(item, "carbon_intensity"),
        "factor_type": "lifecycle",
        **span_year(item.get("year")),
    }


def _check_grams(grams: Decimal) -> Decimal:
    if not 0 <= grams <= _MOST_GRAMS:
        raise GridRowError("gco2e_per_kwh", f"expected 0 to {_MOST_GRAMS:,} grams per kWh: is it another unit?", grams)
    return grams.quantize(_RATE_QUANTUM, rounding=ROUND_HALF_UP)
