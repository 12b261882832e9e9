"""Every number that lands has a range; outside of it is null with a code, or its row is refused."""

import json
from decimal import Decimal
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from ingest.contracts import (
    BILL_PERIODS,
    DCGM_SAMPLES,
    DELIVERIES,
    FOCUS_CHARGES,
    LITELLM_REQUESTS,
    QUARANTINE,
    landing_tables,
)
from ingest.control_tables import CONTROL_TOTALS
from ingest.home import Home
from ingest.landing import land
from ingest.landing_table import LandingTable
from ingest.ranges import Range, name_repair
from ingest.raw_views import keep_in_range_sql
from tests.dbt_project.extreme_rows import is_numeric, list_landed_tables, list_type_extremes, make_row
from tests.ingest.landed import FOCUS_SOURCE, LOG_SOURCE, bill, configure, find, query, request, write

_BOOKKEEPING = (CONTROL_TOTALS.name, DELIVERIES.name, QUARANTINE.name)
EACH_TABLE = pytest.mark.parametrize("table", list_landed_tables().values(), ids=list_landed_tables())


def test_every_numeric_column_that_lands_has_a_range():
    numeric = {
        (table.name, name)
        for table in landing_tables().values()
        for name, kind in table.columns
        if is_numeric(kind) and table.name not in _BOOKKEEPING
    }
    bounded = {(table.name, name) for table in landing_tables().values() for name in table.ranges}
    assert numeric - bounded == set()
    assert bounded - numeric == set()


def list_ranges(bounds: Range) -> list[tuple[str | None, Range]]:
    return [(None, bounds), *bounds.choices.items()]


@EACH_TABLE
def test_what_an_earlier_version_landed_out_of_range_is_null_with_its_code_or_left_out(table: LandingTable):
    for name, kind in table.columns:
        if name not in table.ranges:
            continue
        for text, bounds in list_ranges(table.ranges[name]):
            extremes = list_type_extremes(kind)
            rows = [make_row(table, number) | {name: value} for number, value in enumerate(extremes)]
            if text is not None:
                rows = [row | {table.ranges[name].chosen_by: text} for row in rows]
            raw = pa.Table.from_pylist(rows, schema=table.schema)
            with duckdb.connect() as engine:
                engine.register("raw_rows", raw)
                sql = keep_in_range_sql(table, "select * from raw_rows")
                found = engine.execute(f"select {name}, _repairs from ({sql}) order by _position").fetchall()
            expected = [value if bounds.least <= value <= bounds.most else None for value in extremes]
            if bounds.refuses and table.name not in BILL_PERIODS:
                expected = [value for value in expected if value is not None]
            assert [value for value, _ in found] == expected, (name, text)
            codes = [None if value is not None else name_repair(name) for value in expected]
            assert [repairs for _, repairs in found] == codes, (name, text)


def answer(metric: str, *values: str) -> str:
    samples = [[1_780_000_000 + 60 * minute, value] for minute, value in enumerate(values)]
    series = {"metric": {"__name__": metric, "UUID": "GPU-a"}, "values": samples}
    return json.dumps({"status": "success", "data": {"resultType": "matrix", "result": [series]}})


@pytest.mark.parametrize(
    ("metric", "values", "expected"),
    [
        ("DCGM_FI_PROF_SM_ACTIVE", ("0", "1", "1.7e9", "-0.1", "173.5"), [0.0, 1.0, None, None, None]),
        ("DCGM_FI_DEV_GPU_UTIL", ("100", "4294967295", "1000"), [100.0, None, None]),
        ("DCGM_FI_DEV_POWER_USAGE", ("60", "40000", "700"), [60.0, None, 700.0]),
        ("DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION", ("5e12", "2e18"), [5e12, None]),
        ("DCGM_FI_DEV_ANY_OTHER", ("40000", "8e18", "-9.1e18", "NaN"), [40000.0, 8e18, None, None]),
    ],
)
def test_a_sample_out_of_its_metrics_range_is_null_with_a_code(
    home: Home, metric: str, values: tuple[str, ...], expected: list[float | None]
):
    write(home.path / "dcgm" / "1.json", answer(metric, *values))
    configure(home, '{name: gpus, kind: dcgm_prometheus, location: "dcgm/*"}')
    report = find(land(home), "gpus")
    assert [value for (value,) in query(home, DCGM_SAMPLES, "value order by sampled_at")] == expected
    codes = query(home, DCGM_SAMPLES, "count(*) filter (where _repairs like '%value_out_of_range%')")[0][0]
    assert codes == report.repairs["value_out_of_range"] == sum(item is None for item in expected) - ("NaN" in values)


def test_a_call_out_of_range_is_refused_by_its_line_and_the_others_land(home: Home):
    lines = [request("sound"), request("many", tokens=5_000_000_000), request("dear").replace("0.001", "5000000000")]
    write(home.path / "logs" / "1.jsonl", "\n".join(lines))
    configure(home, LOG_SOURCE)
    report = find(land(home), "gateway")
    assert (report.rows_landed, report.rows_quarantined) == (1, 2)
    assert query(home, LITELLM_REQUESTS, "request_id") == [("sound",)]
    refused = query(home, QUARANTINE, "position, field, reason, found order by all")
    assert [(row[0], row[1], row[3]) for row in refused] == [
        (2, "prompt_tokens", "5000000000"),
        (3, "gateway_cost_usd", "5000000000.000000000000000000"),
    ]
    assert "out of range: expected the USD of one call" in refused[1][2]


@pytest.mark.parametrize(("currency", "is_landed"), [("USD", False), ("IDR", True)])
def test_an_amount_that_no_row_holds_refuses_its_bill(home: Home, currency: str, is_landed: bool):
    write(home.path / "exports" / "a" / "1.csv", bill("2500000000", "1", currency=currency))
    configure(home, FOCUS_SOURCE)
    report = find(land(home), "bills")
    assert (report.deliveries_landed, report.deliveries_refused) == ((1, 0) if is_landed else (0, 1))
    landed = query(home, FOCUS_CHARGES, "sum(billed_cost)")[0][0]
    assert landed == (Decimal("2500000001") if is_landed else None)


def test_a_price_or_quantity_beside_a_bill_is_null_and_the_bill_lands(home: Home):
    text = bill("1", "2").replace(",ResourceId", ",ResourceId,ListUnitPrice").replace("i-0-1", "i-0-1,1e15")
    write(home.path / "exports" / "a" / "1.csv", text.replace("i-1-2", "i-1-2,3"))
    configure(home, FOCUS_SOURCE)
    assert find(land(home), "bills").rows_landed == 2
    rows: list[Any] = query(home, FOCUS_CHARGES, "list_unit_price, _repairs order by _position")
    assert [price for price, _ in rows] == [None, Decimal(3)]
    assert "list_unit_price_out_of_range" in rows[0][1]
