"""Oracle Cloud's cost reports become typed rows, and the files of a bucket are one bill."""

import csv
import gzip
import io
import json
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ingest.billing.oci_cost import OciCost
from ingest.contracts import OCI_COST_ROWS
from ingest.home import Home
from ingest.landing import land
from ingest.source import ObjectRefusedError
from tests.ingest.conftest import ReadObject
from tests.ingest.landed import check_counts, configure, find, query, write

GPU = {
    "lineItem/referenceNo": "r-1",
    "lineItem/tenantId": "ocid1.tenancy.oc1..aaaa",
    "lineItem/intervalUsageStart": "2026-09-04T10:00Z",
    "lineItem/intervalUsageEnd": "2026-09-04T11:00:00Z",
    "product/service": "COMPUTE",
    "product/compartmentId": "ocid1.compartment.oc1..research",
    "product/compartmentName": "research",
    "product/region": "us-ashburn-1",
    "product/resourceId": "ocid1.instance.oc1.iad.h100",
    "usage/billedQuantity": "8",
    "usage/billedQuantityOverage": "",
    "cost/productSku": "B98415",
    "product/Description": "OCI - Compute - GPU - H100",
    "cost/unitPrice": "10",
    "cost/myCost": "80",
    "cost/myCostOverage": "",
    "cost/currencyCode": "USD",
    "cost/skuUnitDescription": "GPU Per Hour",
    "cost/overageFlag": "false",
    "lineItem/isCorrection": "false",
    "lineItem/backreferenceNo": "17036",
    "tags/ml.Team": "research",
    "tags/DevRel\\odd-4cb4.release": "",
}
SET = "oci_cost_report/oci_cost_report_part1.csv.gz"
REPORTS = "{name: oci, kind: oci_cost, location: reports/}"


def report(*rows: dict[str, str]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def told(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{key: value for key, value in row.items() if value is not None and key[0] != "_"} for row in rows]


def sum_costs(home: Home) -> dict[str, Decimal]:
    asked = "strftime(billing_period_date, '%Y-%m'), sum(cost_my_cost) group by all"
    return dict(query(home, OCI_COST_ROWS, asked))


def test_a_real_report_lands_whole_with_the_sums_of_its_file(shared_data: Path, read_object: ReadObject):
    result = read_object(OciCost(), shared_data / SET)
    assert (result.row_count, result.refused) == (117, [])
    with gzip.open(shared_data / SET, "rt") as file:
        rows = list(csv.DictReader(file))
    atto = Decimal(1).scaleb(-18)
    for service in ("COMPUTE", "TELEMETRY"):
        expected = [Decimal(row["cost/myCost"]) for row in rows if row["product/service"] == service]
        found = [row["cost_my_cost"] for row in result.rows if row["product_service"] == service]
        assert sum(found) == sum(cost.quantize(atto, ROUND_HALF_UP) for cost in expected) > 0
    assert {row["tags"] for row in result.rows} == {None}
    assert {row["line_item_interval_usage_start"].date().isoformat() for row in result.rows} == {"2023-11-13"}


def test_every_spelling_of_one_row_is_the_same_row(tmp_path: Path, read_object: ReadObject):
    expected = told(read_object(OciCost(), report(GPU)).rows)
    (row,) = expected
    assert (row["cost_my_cost"], row["usage_billed_quantity"], row["cost_unit_price"]) == (80, 8, 10)
    assert row["line_item_interval_usage_start"] == datetime(2026, 9, 4, 10)
    assert row["line_item_interval_usage_end"] == datetime(2026, 9, 4, 11)
    assert json.loads(row["tags"]) == {"ml.Team": "research"}
    for other in (
        "\ufeff" + report(GPU),
        report(GPU | {"cost/myCost": "8.000E1", "lineItem/intervalUsageStart": "2026-09-04T10:00:00Z"}),
        report({name.replace("lineItem", "lineitem").replace("Cost", "cost"): value for name, value in GPU.items()}),
    ):
        assert told(read_object(OciCost(), other.encode()).rows) == expected
    pq.write_table(
        pa.Table.from_pylist([{name: value or None for name, value in GPU.items()}]), tmp_path / "report.parquet"
    )
    assert told(read_object(OciCost(), tmp_path / "report.parquet").rows) == expected


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"cost/myCost": ""}, "cost/myCost"),
        ({"cost/myCost": "a lot"}, "cost/myCost"),
        ({"cost/currencyCode": "$"}, "cost/currencyCode"),
        ({"lineItem/tenantId": ""}, "lineItem/tenantId"),
        ({"lineItem/intervalUsageEnd": "2026-09-04T09:00:00Z"}, "lineItem/intervalUsageEnd"),
        ({"lineItem/intervalUsageStart": "yesterday"}, "lineItem/intervalUsageStart"),
    ],
)
def test_a_row_that_cannot_be_typed_is_refused_by_line_and_field(
    read_object: ReadObject, change: dict[str, str], field: str
):
    result = read_object(OciCost(), report(GPU, GPU | change))
    assert [(line, name) for line, name, _, _ in result.refused] == [(3, field)]
    assert result.row_count == 1


def test_a_report_of_usage_is_no_bill(read_object: ReadObject):
    usage = {name: value for name, value in GPU.items() if not name.startswith("cost/")}
    with pytest.raises(ObjectRefusedError, match="cost/myCost"):
        read_object(OciCost(), report(usage))


def test_the_files_of_a_bucket_are_one_bill_and_a_correction_is_a_row_more(home: Home):
    configure(home, REPORTS)
    folder = home.path / "reports/cost-csv"
    august = {"lineItem/intervalUsageStart": "2026-08-31T23:00Z", "lineItem/intervalUsageEnd": "2026-09-01T00:00:00Z"}
    write(folder / "0001.csv.gz", gzip.compress(report(GPU | august, GPU).encode()))
    assert find(land(home), "oci").messages == []
    assert sum_costs(home) == {"2026-08": 80, "2026-09": 80}
    correction = {"lineItem/referenceNo": "r-2", "lineItem/isCorrection": "TRUE", "lineItem/backreferenceNo": "r-1"}
    overage = {"lineItem/referenceNo": "r-3", "cost/myCostOverage": "30", "cost/overageFlag": "true"}
    rows = (GPU | correction | {"cost/myCost": "-20"}, GPU | overage)
    write(folder / "0002.csv.gz", gzip.compress(report(*rows).encode()))
    landed = find(land(home), "oci")
    assert landed.deliveries_refused == 0
    assert (landed.repairs["correction"], landed.repairs["overage_in_cost"]) == (1, 1)
    assert sum_costs(home) == {"2026-08": 80, "2026-09": 140}
    check_counts(home, OCI_COST_ROWS)
    assert find(land(home), "oci").rows_read == 0
    # The same row in another file would be charged twice.
    write(folder / "0003.csv.gz", gzip.compress(report(GPU).encode()))
    assert "the same row stands in two parts" in find(land(home), "oci").messages[0]
    assert sum_costs(home) == {"2026-08": 80, "2026-09": 140}
