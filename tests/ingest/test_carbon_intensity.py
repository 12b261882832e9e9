"""Grams of CO2 equivalent a kilowatt-hour, out of every layout and unit, hour by hour and on a year's average."""

import csv
import json
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from ingest.config import ConfigError, load_sources
from ingest.contracts import CARBON_INTENSITY, QUARANTINE
from ingest.home import Home
from ingest.kinds import KINDS
from ingest.landing import land
from ingest.reference.carbon_intensity import CarbonIntensity
from ingest.source import ObjectRefusedError
from tests.ingest.conftest import ReadObject
from tests.ingest.landed import check_counts, configure, find, query, write

KIND = CarbonIntensity()
SETS = {
    "codecarbon_impact.csv": {"year": 2023},
    "ccf_grid-emissions-factors-aws.csv": {"year": 2021},
    "codecarbon_usa_emissions.json": {"year": 2021},
    "codecarbon_global_energy_mix.json": {},
}


def hours_of(day: str, zone: str) -> list[datetime]:
    """The instants at which the hours of a local day begin."""
    start = datetime.fromisoformat(day).replace(tzinfo=ZoneInfo(zone))
    end = (start + timedelta(days=1)).astimezone(UTC)
    hour = start.astimezone(UTC)
    hours = []
    while hour < end:
        hours.append(hour)
        hour += timedelta(hours=1)
    return hours


def answer(hours: list[datetime], **fields: Any) -> str:
    items = [
        {
            "carbonIntensity": 200 + index,
            "datetime": hour.isoformat(),
            "isEstimated": False,
            "emissionFactorType": "lifecycle",
        }
        | fields
        for index, hour in enumerate(hours)
    ]
    return json.dumps({"zone": "DE", "history": items})


@pytest.mark.parametrize(("day", "count"), [("2026-03-29", 23), ("2026-10-25", 25), ("2026-10-26", 24)])
def test_a_day_has_as_many_hours_as_its_clock(read_object: ReadObject, day: str, count: int):
    hours = hours_of(day, "Europe/Berlin")
    rows = read_object(KIND, answer([hour.astimezone(ZoneInfo("Europe/Berlin")) for hour in hours])).rows
    assert len(rows) == count
    assert [row["starts_at"].replace(tzinfo=UTC) for row in rows] == hours
    assert all(row["ends_at"] - row["starts_at"] == timedelta(hours=1) for row in rows)
    assert sum(row["gco2e_per_kwh"] for row in rows) == sum(range(200, 200 + count))


def test_an_answer_says_when_it_was_published_and_how_long_its_steps_are(read_object: ReadObject):
    at = datetime(2026, 10, 1, tzinfo=UTC)
    (row,) = read_object(
        KIND, answer([at], updatedAt="2026-10-02T08:00:00.5Z", temporalGranularity="15_minutes", isEstimated=True)
    ).rows
    assert (row["published_at"], row["ends_at"]) == (
        datetime(2026, 10, 2, 8, 0, 0, 500_000),
        datetime(2026, 10, 1, 0, 15),
    )
    assert (row["is_estimated"], row["factor_type"], row["basis"]) == (True, "lifecycle", "location")


@pytest.mark.parametrize("name", SETS)
def test_a_real_file_lands_whole_in_grams(shared_data: Path, read_object: ReadObject, name: str):
    path = shared_data / "energy_grid_and_power" / name
    result = read_object(KIND, path, **SETS[name])
    expected = plain_grams(path)
    assert result.refused == []
    landed = {row["zone"]: row["gco2e_per_kwh"] for row in result.rows}
    assert len(landed) == result.row_count == len(expected)
    assert landed == {zone: grams.quantize(Decimal("1e-9"), rounding=ROUND_HALF_UP) for zone, grams in expected.items()}


def plain_grams(path: Path) -> dict[str, Decimal]:
    if path.suffix == ".json":
        entries = json.loads(path.read_text(), parse_float=Decimal, parse_int=Decimal).values()
        if "usa" in path.name:
            zones = {e["regionCode"]: e["emissions"] for e in entries if e["regionCode"] != "2 digit state/region code"}
            pounds = {"US" if code == "usa" else f"US-{code}": stated for code, stated in zones.items()}
            return {zone: stated * Decimal("0.45359237") for zone, stated in pounds.items()}
        return {e["iso_code"]: e["carbon_intensity"] for e in entries}
    with path.open(encoding="utf-8-sig") as file:
        lines = list(csv.DictReader(file))
    if "impact" in lines[0]:
        return {f"{line['provider']}/{line['region']}": Decimal(line["impact"]) for line in lines}
    return {f"aws/{line['Region']}": Decimal(line["CO2e (metric ton/kWh)"]) * 1_000_000 for line in lines}


def test_the_contract_says_basis_and_factor(read_object: ReadObject):
    text = (
        "zone,ts_start,ts_end,gco2e_per_kwh,basis,factor_type,is_estimated\n"
        "DE,2026-10-01T00:00:00+02:00,2026-10-01T01:00:00+02:00,312.5,market,direct,TRUE\n"
    )
    (row,) = read_object(KIND, text).rows
    assert (row["starts_at"], row["gco2e_per_kwh"]) == (datetime(2026, 9, 30, 22), Decimal("312.5"))
    assert (row["basis"], row["factor_type"], row["is_estimated"]) == ("market", "direct", True)


def test_a_bad_row_costs_itself_alone(home: Home):
    head = "zone,ts_start,ts_end,gco2e_per_kwh,basis\n"
    hour = "2026-10-01T00:00:00Z,2026-10-01T01:00:00Z"
    lines = [
        f"DE,{hour},312,",
        f",{hour},312,",
        f"DE,{hour},0.3 t,",
        f"DE,{hour},99999,",
        f"DE,{hour},-1,",
        f"DE,{hour},312,somewhere",
        "DE,2026-10-25T02:00:00,2026-10-25T03:00:00Z,312,",
        "DE,2026-10-01T01:00:00Z,2026-10-01T01:00:00Z,312,",
    ]
    write(home.path / "grid.csv", head + "\n".join(lines) + "\n")
    configure(home, "{name: grid, kind: carbon_intensity, location: grid.csv}")
    report = find(land(home, only_sources=["grid"]), "grid")
    assert (report.rows_landed, report.rows_quarantined) == (1, 7)
    check_counts(home, CARBON_INTENSITY)
    assert query(home, QUARANTINE, "position, field order by position") == [
        (3, "zone"),
        (4, "gco2e_per_kwh"),
        (5, "gco2e_per_kwh"),
        (6, "gco2e_per_kwh"),
        (7, "basis"),
        (8, "ts_start"),
        (9, "ts_end"),
    ]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("provider,region,impact\ngcp,us,1\n", "options.year"),
        ("a,b\n1,2\n", "no carbon intensities"),
        ('{"zone": "DE"}', "no carbon intensities"),
        ('{"a": {"regionCode": "AL", "emissions": 1}}', "expected _unit.emissions lbs/MWh"),
        ("[1]", "no carbon intensities"),
        ("{", "not one JSON document"),
    ],
)
def test_what_is_none_of_the_layouts_is_refused(read_object: ReadObject, text: str, told: str):
    with pytest.raises(ObjectRefusedError, match=told):
        read_object(KIND, text)


@pytest.mark.parametrize("options", ["{year: soon}", "{year: 1066}", "{unit: g}"])
def test_options_are_judged_when_they_are_read(home: Home, options: str):
    configure(home, f"{{name: grid, kind: carbon_intensity, location: grid.csv, options: {options}}}")
    with pytest.raises(ConfigError):
        load_sources(home, KINDS)
