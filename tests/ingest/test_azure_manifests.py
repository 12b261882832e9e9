"""Azure's exports: one run is what its manifest.json names, whole or not at all."""

import gzip
import json
import os
import uuid
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path

import pytest
from azure.storage.blob import BlobServiceClient

from ingest.contracts import DELIVERIES
from ingest.home import Home
from ingest.landing import SourceReport, land
from ingest.registry import LANDED, SUPERSEDED
from tests.ingest.azurite_server import AzuriteServer, connection_string
from tests.ingest.landed import bill, billed, configure, find, query

SOURCE = "{name: bills, kind: focus, location: exports/}"
MONTH = "20260501-20260531"
EXPORT = "costs/focus-daily"
SCOPE = "/providers/Microsoft.Billing/billingAccounts/1234567"


def write_run(
    folder: Path,
    parts: Mapping[str, str],
    *,
    run: str = "7c0a9a36-3f0e-4f0c-9b4a-1d2f6a5b8c01",
    submitted: str = "2026-05-03T07:00:00.1234567Z",
    written: Mapping[str, str] | None = None,
) -> Path:
    """One run of an export below `folder`, as Azure lays it out, and its manifest. `written`: the parts that came."""
    place = f"{EXPORT}/{MONTH}/{run}"
    (folder / place).mkdir(parents=True, exist_ok=True)
    for name, text in (parts if written is None else written).items():
        (folder / place / name).write_bytes(gzip.compress(text.encode(), mtime=0))
    rows = {name: len(text.splitlines()) - 1 for name, text in parts.items()}
    blobs = [
        {
            "blobName": f"{place}/{name}",
            "byteCount": len(gzip.compress(text.encode(), mtime=0)),
            "dataRowCount": rows[name],
        }
        for name, text in parts.items()
    ]
    document = {
        "manifestVersion": "2024-04-01",
        "byteCount": sum(blob["byteCount"] for blob in blobs),
        "blobCount": len(blobs),
        "dataRowCount": sum(rows.values()),
        "exportConfig": {
            "exportName": "focus-daily",
            "resourceId": f"{SCOPE}/providers/Microsoft.CostManagement/exports/focus-daily",
            "dataVersion": "1.2",
            "apiVersion": "2023-07-01-preview",
            "type": "FocusCost",
            "timeFrame": "MonthToDate",
            "granularity": "Daily",
        },
        "deliveryConfig": {
            "partitionData": True,
            "dataOverwriteBehavior": "OverwritePreviousReport",
            "fileFormat": "Csv",
            "compressionMode": "Gzip",
            "containerUri": "/subscriptions/0/resourceGroups/rg/providers/Microsoft.Storage/storageAccounts/acct",
            "rootFolderPath": "costs",
        },
        "runInfo": {
            "executionType": "Scheduled",
            "submittedTime": submitted,
            "runId": run,
            "startDate": "2026-05-01T00:00:00",
            "endDate": "2026-05-31T00:00:00",
        },
        "blobs": blobs,
    }
    manifest = folder / place / "manifest.json"
    manifest.write_text(json.dumps(document))
    return manifest


def land_bills(home: Home) -> SourceReport:
    return find(land(home), "bills")


def azure_bill(*costs: str) -> str:
    return bill(*costs, provider="Microsoft")


PARTS = {"part_0_0001.csv.gz": azure_bill("1.5", "2.5"), "part_1_0001.csv.gz": azure_bill("4")}


@pytest.fixture
def exports(home: Home) -> Path:
    configure(home, SOURCE)
    return home.path / "exports"


def test_the_parts_of_a_run_are_one_bill(home: Home, exports: Path):
    write_run(exports, PARTS)
    landed = land_bills(home)
    assert (landed.messages, landed.deliveries_landed, billed(home)) == ([], 2, Decimal(8))
    assert land_bills(home).rows_read == 0
    assert query(home, DELIVERIES, "message where object_uri like '%manifest.json'") == [("names 2 part(s)",)]


def test_a_run_with_a_missing_part_waits_for_it(home: Home, exports: Path):
    write_run(exports, PARTS, written={"part_0_0001.csv.gz": PARTS["part_0_0001.csv.gz"]})
    waiting = land_bills(home)
    assert (waiting.deliveries_refused, billed(home)) == (1, None)
    assert "names 1 part(s) that are not there" in waiting.messages[0]
    assert "part_1_0001.csv.gz" in waiting.messages[0]
    write_run(exports, PARTS)
    assert (land_bills(home).deliveries_refused, billed(home)) == (0, Decimal(8))


def test_a_part_that_is_listed_twice_is_read_once_and_told(home: Home, exports: Path):
    manifest = write_run(exports, PARTS)
    document = json.loads(manifest.read_text())
    document["blobs"].append(document["blobs"][0])
    for rows in (3, 5):  # the sum of its parts, or of its list
        manifest.write_text(json.dumps({**document, "dataRowCount": rows}))
        landed = land_bills(home)
        assert (landed.deliveries_refused, billed(home)) == (0, Decimal(8))
        assert "names 1 part(s) a second time" in landed.messages[0]


def test_of_the_runs_of_a_month_the_one_that_was_submitted_last_counts(home: Home, exports: Path):
    newer = write_run(exports, {"part_0_0001.csv.gz": azure_bill("7")}, run="0a", submitted="2026-05-04T07:00:00Z")
    older = write_run(exports, PARTS, run="ff", submitted="2026-05-03T07:00:00Z")
    # A copy has the times of the copying.
    for number, path in enumerate([*newer.parent.iterdir(), *older.parent.iterdir()]):
        os.utime(path, (1_780_000_000 + number, 1_780_000_000 + number))
    land(home)
    assert billed(home) == Decimal(7)
    statuses = query(home, DELIVERIES, "distinct object_uri like '%/0a/%', status where slice_key <> '' order by all")
    assert statuses == [(False, SUPERSEDED), (True, LANDED)]


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ({"dataRowCount": 9}, "says 9 rows in all, and 3 of its parts"),
        ({"byteCount": 1}, "bytes, found"),
        ({"rows": 1}, "has 2 rows, its manifest says 1"),
    ],
)
def test_a_run_that_is_not_as_its_manifest_counts_it_is_refused(
    home: Home, exports: Path, said: dict[str, int], told: str
):
    manifest = write_run(exports, PARTS)
    document = json.loads(manifest.read_text())
    if "dataRowCount" in said:
        document |= said
    elif "byteCount" in said:
        document["blobs"][0]["byteCount"] = 1
    else:
        document["blobs"][0]["dataRowCount"], document["dataRowCount"] = 1, 2
    manifest.write_text(json.dumps(document))
    refused = land_bills(home)
    assert refused.deliveries_refused >= 1
    assert told in refused.messages[0]
    assert billed(home) is None
    write_run(exports, PARTS)
    assert (land_bills(home).deliveries_refused, billed(home)) == (0, Decimal(8))


def test_a_run_without_parts_takes_nothing_away(home: Home, exports: Path):
    write_run(exports, PARTS)
    land(home)
    write_run(exports, {}, run="0b", submitted="2026-05-05T07:00:00Z")
    assert (land_bills(home).deliveries_refused, billed(home)) == (0, Decimal(8))
    write_run(exports, {}, submitted="2026-05-06T07:00:00Z")  # in the very folder of the parts
    assert (land_bills(home).deliveries_refused, billed(home)) == (0, Decimal(8))


def test_an_export_of_another_type_is_refused_and_one_of_no_bill_set_aside(home: Home, exports: Path):
    manifest = write_run(exports, PARTS)
    document = json.loads(manifest.read_text())
    document["exportConfig"]["type"] = "ActualCost"
    manifest.write_text(json.dumps(document))
    assert "type ActualCost, which kind azure_cost reads" in land_bills(home).messages[0]
    configure(home, "{name: bills, kind: azure_cost, location: exports/, options: {view: amortized}}")
    assert "options.view of the source says amortized" in land_bills(home).messages[0]
    configure(home, SOURCE)
    document["exportConfig"]["type"] = "PriceSheet"
    manifest.write_text(json.dumps(document))
    aside = land_bills(home)
    assert (aside.messages, aside.deliveries_refused, aside.is_stale, billed(home)) == ([], 0, False, None)
    told = query(home, DELIVERIES, "distinct status, message where object_uri like '%.gz'")
    assert told == [(SUPERSEDED, "an export that is no bill")]


def test_the_manifest_of_older_exports_is_followed_too(home: Home, exports: Path):
    manifest = write_run(exports, PARTS)
    blobs = [
        {"blobName": blob["blobName"], "byteCount": blob["byteCount"], "headerRowCount": 1, "contentMD5": "x"}
        for blob in json.loads(manifest.read_text())["blobs"]
    ]
    manifest.unlink()
    (manifest.parent / "_manifest.json").write_text(json.dumps({"manifestVersion": "2021-01-01", "blobs": blobs[:1]}))
    land(home)
    assert billed(home) == Decimal(4)


def test_a_run_lands_from_its_container(home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    server = AzuriteServer()
    try:
        monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", connection_string(server.endpoint))
        name = f"c-{uuid.uuid4().hex[:12]}"
        container = BlobServiceClient.from_connection_string(connection_string(server.endpoint)).create_container(name)
        configure(home, f'{{name: bills, kind: focus, location: "az://{name}/costs/"}}')
        manifest = write_run(tmp_path, PARTS)
        for path in (*sorted(manifest.parent.glob("*.gz")), manifest):
            container.upload_blob(path.relative_to(tmp_path).as_posix(), path.read_bytes())
        landed = land_bills(home)
        assert (landed.messages, landed.deliveries_landed, billed(home)) == ([], 2, Decimal(8))
        container.delete_blob(f"{manifest.parent.relative_to(tmp_path).as_posix()}/part_1_0001.csv.gz")
        container.upload_blob(
            f"{manifest.parent.relative_to(tmp_path).as_posix()}/manifest.json", manifest.read_bytes(), overwrite=True
        )
        waiting = land_bills(home)
        assert (waiting.deliveries_refused, billed(home)) == (1, Decimal(8))
    finally:
        server.close()
