"""Azure's cost exports in every spelling become the same typed rows, and two views of one bill stay two views."""

import csv
import gzip
import io
import json
from collections import defaultdict
from collections.abc import Callable
from datetime import date, datetime
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ingest.billing.azure_cost import AzureCost
from ingest.contracts import AZURE_COST_ROWS, QUARANTINE
from ingest.home import Home
from ingest.landing import land
from ingest.source import ObjectRefusedError
from tests.ingest.conftest import ReadObject
from tests.ingest.landed import check_counts, configure, find, query, write

EA = {
    "BillingAccountId": "8611537",
    "BillingPeriodStartDate": "09/01/2026",
    "BillingPeriodEndDate": "09/30/2026",
    "SubscriptionId": "sub-1",
    "Date": "09/04/2026",
    "MeterCategory": "Virtual Machines",
    "Quantity": "24",
    "Cost": "2.64",
    "UnitPrice": "0.11",
    "BillingCurrency": "USD",
    "ResourceId": "/subscriptions/sub-1/resourceGroups/ML/providers/Microsoft.Compute/virtualMachines/ND1",
    "Tags": '"team": "research","note": "a \\"quoted\\" word"',
    "UnitOfMeasure": "1 Hour",
    "ChargeType": "Usage",
    "PricingModel": "OnDemand",
}
ATTO = Decimal(1).scaleb(-18)
SETS = {
    "azure_ea_demo_tenant/EA_ActualCost_Small.csv": ("Cost", 11, {}),
    "azure_ea_demo_tenant/EA_AmortizedCost_Small.csv": ("Cost", 28, {"view": "amortized"}),
    "azure_export_header_variants/Enterprise.csv": ("CostInBillingCurrency", 1, {}),
    "azure_export_header_variants/PayAsYouGo.csv": ("PreTaxCost", 1, {}),
    "azure_export_header_variants/VirtualMachine.csv": ("costinbillingcurrency", 1, {}),
    "nise_azure_cost/azure_cost_2026-05.csv.gz": ("CostInBillingCurrency", 496, {}),
    "nise_azure_cost/azure_cost_2026-06.csv.gz": ("CostInBillingCurrency", 16, {}),
}


def export(*rows: dict[str, str], delimiter: str = "\r\n") -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator=delimiter)
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def renamed(row: dict[str, str], **names: str) -> dict[str, str]:
    return {names.get(name, name): value for name, value in row.items()}


def told(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{key: value for key, value in row.items() if value is not None and key[0] != "_"} for row in rows]


@pytest.mark.parametrize("name", SETS)
def test_a_real_export_lands_whole_with_the_sums_of_its_file(name: str, shared_data: Path, read_object: ReadObject):
    cost, count, options = SETS[name]
    result = read_object(AzureCost(), shared_data / name, **options)
    assert (result.row_count, result.refused) == (count, [])
    opened = gzip.open if name.endswith(".gz") else open
    expected: dict[str, Decimal] = defaultdict(Decimal)
    with opened(shared_data / name, "rt", encoding="utf-8-sig") as file:
        for row in csv.DictReader(file):
            expected[next(row[key] for key in row if key.lower().startswith("subscription"))] += Decimal(
                row[cost]
            ).quantize(ATTO, ROUND_HALF_UP)
    found: dict[str, Decimal] = defaultdict(Decimal)
    for row in result.rows:
        found[row["subscription_id"]] += row["cost_in_billing_currency"]
    assert found == expected


def test_a_bill_without_a_cost_and_lines_that_are_no_rows_are_refused_by_line(
    shared_data: Path, read_object: ReadObject
):
    folder = shared_data / "azure_export_header_variants"
    bare = read_object(AzureCost(), folder / "BOM.csv")
    assert [(line, field) for line, field, _, _ in bare.refused] == [(2, "CostInBillingCurrency")]
    ragged = read_object(AzureCost(), folder / "Template.csv", date_format="d/m/y")
    with (folder / "Template.csv").open() as file:
        short = [number for number, row in enumerate(csv.reader(file), 1) if len(row) != 11]
    assert [line for line, *_ in ragged.refused] == short != []
    assert ragged.row_count + len(short) == 87


def test_every_spelling_of_one_row_is_the_same_row(
    tmp_path: Path, read_object: ReadObject, pack: Callable[[str], bytes]
):
    expected = told(read_object(AzureCost(), pack(export(EA))).rows)
    (row,) = expected
    assert row["cost_in_billing_currency"] == Decimal("2.64")
    assert (row["charge_date"], row["charge_end_date"]) == (datetime(2026, 9, 4), datetime(2026, 9, 5))
    assert (row["billing_period_start_date"], row["export_view"]) == (datetime(2026, 9, 1), "unsaid")
    assert json.loads(row["tags"]) == {"team": "research", "note": 'a "quoted" word'}
    iso = EA | {"BillingPeriodStartDate": "2026-09-01", "BillingPeriodEndDate": "2026-09-30", "Date": "2026-09-04"}
    european = EA | {"BillingPeriodStartDate": "01/09/2026", "BillingPeriodEndDate": "30/09/2026", "Date": "04/09/2026"}
    braces = EA | {"Tags": "{" + EA["Tags"] + "}"}
    for other in (
        "\ufeff" + export(EA),
        export(iso),
        export(european),
        export(braces),
        export(renamed(EA, Cost="costInBillingCurrency", BillingCurrency="billingCurrencyCode", Date="date")),
        export(
            renamed(EA, Cost="PreTaxCost", BillingCurrency="Currency", Date="UsageDateTime", ResourceId="InstanceId")
        ),
    ):
        assert told(read_object(AzureCost(), other.encode()).rows) == expected
    typed = iso | {"Date": datetime(2026, 9, 4), "Cost": 2.64}
    pq.write_table(pa.Table.from_pylist([typed]), tmp_path / "part.snappy.parquet", compression="snappy")
    assert told(read_object(AzureCost(), tmp_path / "part.snappy.parquet").rows) == expected


def test_days_that_could_be_months_are_asked_about(read_object: ReadObject):
    row = {name: value for name, value in EA.items() if not name.startswith("BillingPeriod")}
    refused = read_object(AzureCost(), export(row)).refused
    assert [(line, field) for line, field, _, _ in refused] == [(2, "Date")]
    assert "options.date_format" in refused[0][2]
    (landed,) = read_object(AzureCost(), export(row), date_format="d/m/y").rows
    assert landed["charge_date"] == datetime(2026, 4, 9)


@pytest.mark.parametrize(
    ("view", "row", "reason"),
    [
        ("actual", {"ChargeType": "UnusedReservation", "PricingModel": "Reservation"}, "a row of amortised cost"),
        ("amortized", {"ChargeType": "Purchase", "PricingModel": "SavingsPlan"}, "a row of actual cost"),
    ],
)
def test_a_view_that_is_not_what_it_says_is_refused(
    view: str, row: dict[str, str], reason: str, read_object: ReadObject
):
    ((line, field, told_reason, found),) = read_object(AzureCost(), export(EA, EA | row), view=view).refused
    assert (line, field, found) == (3, "ChargeType", row["ChargeType"])
    assert reason in told_reason and "options.view" in told_reason


def test_an_unknown_view_is_told(read_object: ReadObject):
    with pytest.raises(ObjectRefusedError, match="found 'amortised'; allowed: actual or amortized"):
        read_object(AzureCost(), export(EA), view="amortised")


def test_words_for_prices_are_repaired_and_words_for_costs_are_refused(read_object: ReadObject):
    (row,) = read_object(AzureCost(), export(EA | {"UnitPrice": "n/a"})).rows
    assert (row["unit_price"], row["_repairs"]) == (None, "us_date,unreadable:UnitPrice")
    ((line, field, _, found),) = read_object(AzureCost(), export(EA | {"Cost": "1,5"})).refused
    assert (line, field, found) == (2, "CostInBillingCurrency", "1,5")


def test_two_views_stand_side_by_side_and_each_replaces_itself(home: Home):
    configure(
        home,
        "{name: actual, kind: azure_cost, location: actual/, options: {view: actual}}",
        "{name: amortized, kind: azure_cost, location: amortized/, options: {view: amortized}}",
    )
    write(home.path / "actual/20260901-20260930/part0.csv", export(EA))
    write(home.path / "amortized/20260901-20260930/part0.csv", export(EA))
    assert not land(home).has_refusals
    write(home.path / "amortized/20260901-20260930/part0.csv", export(EA | {"Cost": "3"}))
    report = land(home)
    assert find(report, "amortized").rows_landed == 1
    found = query(home, AZURE_COST_ROWS, "export_view, billing_period_date, cost_in_billing_currency order by all")
    assert found == [("actual", date(2026, 9, 1), Decimal("2.64")), ("amortized", date(2026, 9, 1), Decimal(3))]
    check_counts(home, AZURE_COST_ROWS)


def test_a_bad_row_refuses_the_delivery_and_what_stood_stays(home: Home):
    configure(home, "{name: azure, kind: azure_cost, location: azure/}")
    write(home.path / "azure/part0.csv", export(EA))
    land(home)
    write(home.path / "azure/part0.csv", export(EA | {"Cost": "3"}, EA | {"Cost": "much"}))
    assert land(home).has_refusals
    assert query(home, AZURE_COST_ROWS, "cost_in_billing_currency") == [(Decimal("2.64"),)]
    assert ("much",) in query(home, QUARANTINE, "found where field = 'CostInBillingCurrency'")
