"""What a kilowatt-hour costs, out of every layout and unit: exact, below 0 too, each hour of a turned clock once."""

import csv
import json
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from ingest.config import ConfigError, load_sources
from ingest.contracts import ELECTRICITY_PRICES, QUARANTINE
from ingest.home import Home
from ingest.kinds import KINDS
from ingest.landing import land
from ingest.reference.electricity_prices import ElectricityPrices
from ingest.source import ObjectRefusedError
from tests.ingest.conftest import ReadObject
from tests.ingest.landed import check_counts, configure, find, query, write
from tests.ingest.test_carbon_intensity import hours_of

KIND = ElectricityPrices()
HEAD = "zone,ts_start,ts_end,price_per_mwh,currency\n"
HOUR = "2026-10-01T00:00:00Z,2026-10-01T01:00:00Z"


@pytest.mark.parametrize(("day", "count"), [("2026-03-29", 23), ("2026-10-25", 25)])
def test_a_day_ahead_has_as_many_hours_as_its_clock(read_object: ReadObject, day: str, count: int):
    berlin = ZoneInfo("Europe/Berlin")
    hours = hours_of(day, "Europe/Berlin")
    items = [
        {"datetime": hour.astimezone(berlin).isoformat(), "value": index - 3.25, "unit": "EUR/MWh"}
        for index, hour in enumerate(hours)
    ]
    rows = read_object(KIND, json.dumps({"zone": "DE", "data": items})).rows
    assert [row["starts_at"].replace(tzinfo=UTC) for row in rows] == hours
    assert len({row["starts_at"] for row in rows}) == count
    assert sum(row["price_per_kwh"] for row in rows) * 1000 == sum(
        Decimal(index) - Decimal("3.25") for index in range(count)
    )


def test_prices_below_zero_are_real_and_exact(read_object: ReadObject):
    (row,) = read_object(KIND, f"{HEAD}DE,{HOUR},-12.34567,EUR\n").rows
    assert (row["price_per_kwh"], row["currency"], row["sector"]) == (Decimal("-0.01234567"), "EUR", None)


def test_retail_sales_of_a_month_are_dollars(read_object: ReadObject):
    sale = {
        "period": "2026-02",
        "stateid": "VA",
        "sectorid": "IND",
        "price": "8.51",
        "price-units": "cents per kilowatt-hour",
    }
    rows = read_object(KIND, json.dumps({"response": {"data": [sale, sale | {"stateid": "US"}]}})).rows
    assert [(row["zone"], row["sector"], row["price_per_kwh"]) for row in rows] == [
        ("US-VA", "IND", Decimal("0.0851")),
        ("US", "IND", Decimal("0.0851")),
    ]
    assert (rows[0]["starts_at"], rows[0]["ends_at"]) == (datetime(2026, 2, 1), datetime(2026, 3, 1))


def test_the_real_averages_of_the_states_land_whole(shared_data: Path, read_object: ReadObject):
    path = shared_data / "energy_grid_and_power" / "nrel_eia_state_commercial_2017.csv"
    result = read_object(KIND, path, year=2017)
    with path.open() as file:
        expected = {line["description"]: Decimal(line["cost"]) for line in csv.DictReader(file)}
    assert result.refused == []
    assert {row["zone"].removeprefix("US-"): row["price_per_kwh"] * 100 for row in result.rows} == expected
    assert {row["starts_at"] for row in result.rows} == {datetime(2017, 1, 1)}


def test_a_bad_row_costs_itself_alone(home: Home):
    lines = [f"DE,{HOUR},80,EUR", f"DE,{HOUR},,EUR", f"DE,{HOUR},80,euro", f",{HOUR},80,EUR", "DE,soon,later,80,EUR"]
    write(home.path / "prices.csv", HEAD + "\n".join(lines) + "\n")
    configure(home, "{name: spot, kind: electricity_prices, location: prices.csv}")
    report = find(land(home, only_sources=["spot"]), "spot")
    assert (report.rows_landed, report.rows_quarantined) == (1, 4)
    check_counts(home, ELECTRICITY_PRICES)
    assert query(home, QUARANTINE, "position, field order by position") == [
        (3, "price_per_mwh"),
        (4, "currency"),
        (5, "zone"),
        (6, "ts_start"),
    ]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("description,units,cost\nVA,cents per kilowatthour,1\n", "options.year"),
        ("zone,ts_start,ts_end,currency\n", "no electricity prices"),
        ('{"response": {}}', "no electricity prices"),
    ],
)
def test_what_is_none_of_the_layouts_is_refused(read_object: ReadObject, text: str, told: str):
    with pytest.raises(ObjectRefusedError, match=told):
        read_object(KIND, text)


@pytest.mark.parametrize("options", ["{sector: 3}", "{year: 3000}", "{zone: DE}"])
def test_options_are_judged_when_they_are_read(home: Home, options: str):
    configure(home, f"{{name: spot, kind: electricity_prices, location: prices.csv, options: {options}}}")
    with pytest.raises(ConfigError):
        load_sources(home, KINDS)
