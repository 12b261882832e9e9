"""Catalogues of list prices, each by its content, become prices of a machine or a part of one an hour."""

import csv
import json
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from ingest.config import ConfigError, load_sources
from ingest.contracts import GPU_PRICES, QUARANTINE
from ingest.home import Home
from ingest.kinds import KINDS
from ingest.landing import land
from ingest.reference.gpu_prices import GpuPrices, read_as_of
from ingest.source import ObjectRefusedError
from tests.ingest.conftest import MODIFIED_AT, ReadObject
from tests.ingest.landed import check_counts, configure, find, query, write

SKYPILOT = (
    "InstanceType,AcceleratorName,AcceleratorCount,vCPUs,MemoryGiB,GpuInfo,Price,SpotPrice,Region,AvailabilityZone\n"
    "p5.48xlarge,H100,8,192,2048,\"{'Gpus': []}\",98.32,39.5,us-east-1,us-east-1a\n"
    "m5.large,,,2,8,,0.096,,us-east-1,us-east-1a\n"
)


def folder(shared_data: Path) -> Path:
    return shared_data / "gpu_price_catalogs"


def test_skypilots_machines_have_a_price_on_demand_and_one_on_spot(read_object: ReadObject):
    result = read_object(GpuPrices(), SKYPILOT, provider="aws")
    shown = ("provider", "instance_type", "gpu_model", "gpu_count", "priced_part", "price_kind", "usd_per_hour", "zone")
    assert [tuple(row[name] for name in shown) for row in result.rows] == [
        ("aws", "p5.48xlarge", "H100", 8.0, "instance", "on_demand", Decimal("98.32"), "us-east-1a"),
        ("aws", "p5.48xlarge", "H100", 8.0, "instance", "spot", Decimal("39.5"), "us-east-1a"),
        ("aws", "m5.large", None, None, "instance", "on_demand", Decimal("0.096"), "us-east-1a"),
    ]
    assert {row["as_of"] for row in result.rows} == {MODIFIED_AT.replace(tzinfo=None)}


def test_gpus_without_a_machine_are_priced_one_by_one(read_object: ReadObject):
    (row,) = read_object(GpuPrices(), SKYPILOT.splitlines()[0] + "\n,A100,8,,,,23.471264,,us-central1,\n").rows
    assert (row["priced_part"], row["usd_per_hour"]) == ("gpu", Decimal("2.933908"))


def test_the_cloud_gpus_table_lands_whole(shared_data: Path, read_object: ReadObject):
    path = folder(shared_data) / "fsdl_cloud-gpus.csv"
    with path.open() as file:
        lines = list(csv.DictReader(file))
    result = read_object(GpuPrices(), path, as_of="2025-03-07")
    landed = sum(row["usd_per_hour"] for row in result.rows if row["price_kind"] == "on_demand")
    # One line (257 in all) has neither price.
    assert landed == sum(Decimal(line["On-demand"].replace(",", "")) for line in lines if line["On-demand"])
    spot = [row for row in result.rows if row["price_kind"] == "spot"]
    assert len(spot) == sum(bool(line["Spot"]) for line in lines)
    assert len({row["_position"] for row in result.batches[0].to_pylist()}) + len(result.refused) == len(lines) == 257
    assert {row["as_of"] for row in result.rows} == {datetime(2025, 3, 7)}


def test_two_days_of_a_catalogue_stand_beside_one_another(home: Home, shared_data: Path):
    configure(home, f"{{name: prices, kind: gpu_prices, location: '{folder(shared_data)}/cloudprice_*.json'}}")
    report = find(land(home, only_sources=["prices"]), "prices")
    machines = {}
    for day in ("2026-05-13", "2026-05-17"):
        document = json.loads((folder(shared_data) / f"cloudprice_{day}.json").read_text(), parse_float=Decimal)
        clouds = [cloud["instances"] for cloud in document.values() if isinstance(cloud, dict)]
        machines[datetime.fromisoformat(day)] = [machine for cloud in clouds for machine in cloud]
    found = query(home, GPU_PRICES, "as_of, sum(usd_per_hour), count(*) group by all order by all")
    assert found == [
        (
            day,
            sum(Decimal(m["hourly_usd"]) + Decimal(m.get("spot_hourly_usd") or 0) for m in all_of_day),
            sum(1 + (m.get("spot_hourly_usd") is not None) for m in all_of_day),
        )
        for day, all_of_day in machines.items()
    ]
    assert report.rows_quarantined == 0
    check_counts(home, GPU_PRICES)


@pytest.mark.parametrize("name", ["opencost_pricing_schema.csv", "opencost_pricing_schema_region.csv"])
def test_opencosts_prices_are_of_a_node_or_of_a_gpu(name: str, shared_data: Path, read_object: ReadObject):
    with (folder(shared_data) / name).open() as file:
        lines = list(csv.DictReader(file))
    rows = read_object(GpuPrices(), folder(shared_data) / name).rows
    assert [(row["priced_part"] == "gpu", row["usd_per_hour"], row["region"]) for row in rows] == [
        (line["AssetClass"] == "gpu", Decimal(line["MarketPriceHourly"]), line["Region"] or None) for line in lines
    ]
    assert {row["as_of"] for row in rows} == {datetime(2019, 4, 17, 23, 34, 22)}


def test_googles_skus_are_priced_in_each_region_by_part(shared_data: Path, read_object: ReadObject):
    path = folder(shared_data) / "opencost_gcp_skus.json"
    skus = json.loads(path.read_text())["skus"]
    result = read_object(GpuPrices(), path)
    # Four of the seven are priced in rupiah: no rate of ours is Google's own list price in USD.
    assert [(position, field, found) for position, field, _, found in result.refused] == [
        (position, "currencyCode", "IDR") for position in (4, 5, 6, 7)
    ]
    assert len(result.rows) == sum(len(sku["serviceRegions"]) for sku in skus[:3])
    gpus = [row for row in result.rows if row["priced_part"] == "gpu"]
    assert {(row["gpu_model"], row["usd_per_hour"], row["price_kind"]) for row in gpus} == {
        ("A100", Decimal("2.933908"), "on_demand")
    }
    assert {row["region"] for row in gpus} == {"us-central1", "us-east1", "us-west1"}
    assert {row["effective_at"] for row in gpus} == {datetime(2023, 3, 24, 10, 52, 50, 681_000)}
    assert {row["priced_part"] for row in result.rows} == {"gpu", "vcpu", "gib"}


def test_bad_prices_are_refused_by_line(home: Home):
    configure(home, "{name: prices, kind: gpu_prices, location: prices/, options: {provider: aws}}")
    bad = "x,H100,8,1,1,,much,,r,\ny,H100,8,1,1,,,,r,\nz,H100,8,1,1,,-1,,r,\n"
    write(home.path / "prices/vms.csv", SKYPILOT + bad)
    assert find(land(home, only_sources=["prices"]), "prices").rows_quarantined == 3
    assert query(home, QUARANTINE, "position, field order by all") == [(4, "Price"), (5, "Price"), (6, "Price")]
    check_counts(home, GPU_PRICES)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("a,b\n1,2\n", "no catalogue of prices: expected columns of SkyPilot"),
        ('{"as_of": "2026-01-01", "currency": "EUR"}', "prices are not in USD"),
        ('{\n"hello": 1}', "no catalogue of prices: expected `skus`"),
        ("{\nbroken", "not JSON"),
    ],
)
def test_what_is_no_catalogue_is_refused(text: str, reason: str, read_object: ReadObject):
    with pytest.raises(ObjectRefusedError, match=reason):
        read_object(GpuPrices(), text)


def test_a_sku_in_another_unit_or_currency_is_refused(read_object: ReadObject, shared_data: Path):
    sku: dict[str, Any] = json.loads((folder(shared_data) / "opencost_gcp_skus.json").read_text())["skus"][0]
    text = json.dumps(sku)
    lines = [
        text,
        text.replace('"usageUnit": "h"', '"usageUnit": "mo"'),
        text.replace('"USD"', '"EUR"'),
        "{broken",
        "{}",
    ]
    result = read_object(GpuPrices(), "\n".join(lines))
    assert [(line, field) for line, field, _, _ in result.refused] == [
        (2, "usageUnit"),
        (3, "currencyCode"),
        (4, None),
        (5, "category"),
    ]


def test_a_day_with_an_offset_is_that_moment():
    assert read_as_of({"as_of": "2026-10-01T23:00:00-05:00"}) == datetime(2026, 10, 2, 4)


@pytest.mark.parametrize("option", ["as_of: soon", "provider: 7", "day: 2026-01-01"])
def test_options_are_judged_when_sources_are_read(home: Home, option: str):
    configure(home, f"{{name: prices, kind: gpu_prices, location: prices/, options: {{{option}}}}}")
    with pytest.raises(ConfigError, match=option.partition(":")[0]):
        load_sources(home, KINDS)


EC2_CSV = (
    '"FormatVersion","v1.0"\n"Disclaimer","None of it is advice"\n"Publication Date","2026-10-01T12:00:00Z"\n'
    '"Version","20261001120000"\n"OfferCode","AmazonEC2"\n'
    '"SKU","TermType","PriceDescription","EffectiveDate","Unit","PricePerUnit","Currency","LeaseContractLength",'
    '"PurchaseOption","OfferingClass","Product Family","Instance Type","Tenancy","Operating System","CapacityStatus",'
    '"Pre Installed S/W","Region Code","vCPU","Memory","GPU"\n'
)
EC2_LINE = {
    "SKU": "ABC",
    "TermType": "OnDemand",
    "PriceDescription": "$98.32 per On Demand Linux p5.48xlarge Instance Hour",
    "EffectiveDate": "2026-09-15",
    "Unit": "Hrs",
    "PricePerUnit": "98.3200000000",
    "Currency": "USD",
    "LeaseContractLength": "",
    "PurchaseOption": "",
    "OfferingClass": "",
    "Product Family": "Compute Instance",
    "Instance Type": "p5.48xlarge",
    "Tenancy": "Shared",
    "Operating System": "Linux",
    "CapacityStatus": "Used",
    "Pre Installed S/W": "NA",
    "Region Code": "us-east-1",
    "vCPU": "192",
    "Memory": "2,048 GiB",
    "GPU": "8",
}


def ec2_csv(*lines: dict[str, str]) -> str:
    return EC2_CSV + "".join(",".join(f'"{line[name]}"' for name in EC2_LINE) + "\n" for line in lines)


def test_the_price_list_of_aws_has_a_machine_as_everyone_rents_it(read_object: ReadObject):
    reserved = EC2_LINE | {"TermType": "Reserved", "PricePerUnit": "60.5", "LeaseContractLength": "1yr"}
    others = [
        reserved | {"PurchaseOption": "No Upfront", "OfferingClass": "standard"},
        reserved | {"PurchaseOption": "No Upfront", "OfferingClass": "standard", "LeaseContractLength": "3 yr"},
        reserved | {"PurchaseOption": "No Upfront", "OfferingClass": "convertible"},
        reserved | {"PurchaseOption": "All Upfront", "OfferingClass": "standard", "Unit": "Quantity"},
        EC2_LINE | {"Operating System": "Windows"},
        EC2_LINE | {"Tenancy": "Dedicated"},
        EC2_LINE | {"CapacityStatus": "UnusedCapacityReservation"},
        EC2_LINE | {"Pre Installed S/W": "SQL Web"},
        EC2_LINE | {"PricePerUnit": "0.0000000000"},
        EC2_LINE | {"Product Family": "Storage"},
    ]
    result = read_object(GpuPrices(), ec2_csv(EC2_LINE, *others))
    assert result.refused == []
    assert [(row["price_kind"], row["usd_per_hour"]) for row in result.rows] == [
        ("on_demand", Decimal("98.32")),
        ("commit_1y", Decimal("60.5")),
        ("commit_3y", Decimal("60.5")),
    ]
    row = result.rows[0]
    shown = ("catalogue", "provider", "region", "instance_type", "gpu_count", "vcpu_count", "memory_gib", "sku_id")
    assert [row[name] for name in shown] == [
        "aws_price_list",
        "aws",
        "us-east-1",
        "p5.48xlarge",
        8.0,
        192.0,
        2048.0,
        "ABC",
    ]
    assert (row["effective_at"], row["as_of"]) == (datetime(2026, 9, 15), datetime(2026, 10, 1, 12))


@pytest.mark.parametrize("indent", [None, 2])
def test_the_json_of_an_offer_reads_as_its_csv(read_object: ReadObject, indent: int | None):
    names = {
        "operatingSystem": "Operating System",
        "tenancy": "Tenancy",
        "capacitystatus": "CapacityStatus",
        "preInstalledSw": "Pre Installed S/W",
        "instanceType": "Instance Type",
        "regionCode": "Region Code",
        "vcpu": "vCPU",
        "memory": "Memory",
        "gpu": "GPU",
    }
    attributes = {name: EC2_LINE[column] for name, column in names.items()}
    dimension = {
        "unit": "Hrs",
        "description": EC2_LINE["PriceDescription"],
        "pricePerUnit": {"USD": EC2_LINE["PricePerUnit"]},
    }
    document = {
        "formatVersion": "v1.0",
        "disclaimer": "None of it is advice",
        "offerCode": "AmazonEC2",
        "version": "20261001120000",
        "publicationDate": "2026-10-01T12:00:00Z",
        "products": {
            "ABC": {"sku": "ABC", "productFamily": "Compute Instance", "attributes": attributes},
            "WIN": {"productFamily": "Compute Instance", "attributes": attributes | {"operatingSystem": "Windows"}},
        },
        "terms": {
            "OnDemand": {
                "ABC": {
                    "ABC.JRT": {"effectiveDate": "2026-09-15T00:00:00Z", "priceDimensions": {"ABC.JRT.6Y": dimension}}
                }
            }
        },
    }
    (row,) = read_object(GpuPrices(), json.dumps(document, indent=indent)).rows
    (expected,) = read_object(GpuPrices(), ec2_csv(EC2_LINE)).rows
    assert row | {"_position": None} == expected | {"_position": None}


def test_a_bad_line_of_the_price_list_costs_itself_alone(read_object: ReadObject):
    bad = [{"PricePerUnit": "free"}, {"Currency": "CNY"}, {"EffectiveDate": "soon"}]
    result = read_object(GpuPrices(), ec2_csv(EC2_LINE, *(EC2_LINE | change for change in bad)))
    assert result.row_count == 1
    assert [(position, field) for position, field, *_ in result.refused] == [
        (8, "PricePerUnit"),
        (9, "Currency"),
        (10, "EffectiveDate"),
    ]


def test_another_offer_of_aws_is_refused(read_object: ReadObject):
    with pytest.raises(ObjectRefusedError, match="expected the offer of AmazonEC2"):
        read_object(GpuPrices(), ec2_csv(EC2_LINE).replace("AmazonEC2", "AmazonS3"))
    with pytest.raises(ObjectRefusedError, match="expected the offer of AmazonEC2"):
        read_object(GpuPrices(), '{"formatVersion": "v1.0",\n"offerCode": "AmazonS3"}')
