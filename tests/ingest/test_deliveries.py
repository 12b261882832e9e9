"""Exports with manifests: one delivery is what its manifest names, whole or not at all."""

import json
import os
import shutil
import time
from decimal import Decimal
from pathlib import Path
from typing import Any

import boto3
import pytest

from ingest.acceptances import accept_source
from ingest.billing.manifests import ManifestError, find_governing, find_part, list_areas, read_manifest
from ingest.contracts import AWS_CUR_LINE_ITEMS, DELIVERIES, QUARANTINE
from ingest.home import Home
from ingest.landing import SourceReport, count_changes, land
from ingest.registry import LANDED, REFUSED, SUPERSEDED
from orchestration.doctor import State, examine_home
from tests.ingest.aws_reports import legacy_line, line, packed, report, write_export, write_legacy
from tests.ingest.landed import bill, billed, configure, find, query

CUR_SOURCE = "{name: cur, kind: aws_cur, location: exports/}"
ONE, TWO, THREE = (
    packed(report(line(identity_line_item_id=f"a{number}", line_item_unblended_cost=f"{number}")))
    for number in (1, 2, 3)
)


def land_cur(home: Home) -> SourceReport:
    return find(land(home), "cur")


def unblended(home: Home) -> Decimal | None:
    return query(home, AWS_CUR_LINE_ITEMS, "sum(line_item_unblended_cost)")[0][0]


def statuses(home: Home) -> dict[str, str]:
    """What the registry says of each object, by the end of its path."""
    rows = query(home, DELIVERIES, "object_uri, string_agg(distinct status, '+' order by status) group by all")
    return {"/".join(uri.split("/")[-2:]): status for uri, status in rows}


def age(path: Path, seconds: int) -> None:
    """Every file below `path` was written that much earlier."""
    for file in path.rglob("*"):
        if file.is_file():
            before = file.stat().st_mtime - seconds
            os.utime(file, (before, before))


# --- what manifests say ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "document",
    [
        {"executionId": "0f", "dataFiles": ["a/x.csv.gz", "a/y.csv.gz"], "columns": []},
        {"assemblyId": "3f", "reportKeys": ["a/x.csv.gz", "a/y.csv.gz"], "billingPeriod": {}},
        {"blobs": [{"blobName": "a/x.csv.gz"}, {"blobName": "a/y.csv.gz"}]},
        {"files": ["a/x.csv.gz", "a/y.csv.gz"]},
    ],
)
def test_every_spelling_of_a_manifest_names_its_parts(document: dict[str, Any]):
    assert [part.key for part in read_manifest(json.dumps(document).encode()).parts] == ["a/x.csv.gz", "a/y.csv.gz"]


@pytest.mark.parametrize("payload", [b"", b"{", b"[]", b'{"dataFiles": [1]}', b'{"columns": ["a"]}', b"\xff"])
def test_what_is_no_manifest_is_refused(payload: bytes):
    with pytest.raises(ManifestError, match="not a manifest"):
        read_manifest(payload)


def test_of_two_manifests_of_one_export_the_upper_one_counts():
    upper, run, other = "e/metadata/BP=1/e-Manifest.json", "e/metadata/BP=1/run/e-Manifest.json", "m-Manifest.json"
    assert find_governing([upper, run]) == [upper]
    assert find_governing([run, other]) == [run, other]
    assert list_areas(upper) == ["e/metadata/BP=1/", "e/data/BP=1/"]


@pytest.mark.parametrize(
    ("manifest", "key", "listed", "expected"),
    [
        ("s3://b/p/e/metadata/BP=1/m.json", "s3://b/p/e/data/BP=1/x.gz", "s3://b/p/e/data/BP=1/x.gz", True),
        ("s3://b/p/r/2026/m.json", "p/r/2026/3f/x.gz", "s3://b/p/r/2026/3f/x.gz", True),
        ("az://c/p/e/2026/3f/manifest.json", "p/e/2026/3f/x.gz", "az://c/p/e/2026/3f/x.gz", True),
        # A copy in another bucket, on disk, of the month's folder alone, and with all files in one folder.
        ("s3://c/p/e/metadata/BP=1/m.json", "s3://b/p/e/data/BP=1/x.gz", "s3://c/p/e/data/BP=1/x.gz", True),
        ("/data/e/metadata/BP=1/m.json", "s3://b/p/e/data/BP=1/x.gz", "/data/e/data/BP=1/x.gz", True),
        ("in/2026/m.json", "p/r/2026/3f/x.gz", "in/2026/3f/x.gz", True),
        ("in/m.json", "p/r/2026/3f/x.gz", "in/x.gz", True),
        # Athena's layout has the data beside the month's folder.
        (
            "s3://b/p/r/2026/m.json",
            "p/r/r/year=2026/month=9/x.parquet",
            "s3://b/p/r/r/year=2026/month=9/x.parquet",
            True,
        ),
        # The same name in another run, or left over above the runs, is another part.
        ("e/metadata/BP=1/m.json", "p/e/data/BP=1/run2/x.gz", "e/data/BP=1/run1/x.gz", False),
        ("e/metadata/BP=1/m.json", "p/e/data/BP=1/run2/x.gz", "e/data/BP=1/x.gz", False),
    ],
)
def test_a_part_is_found_where_the_export_lies_and_nowhere_else(manifest: str, key: str, listed: str, expected: bool):
    assert find_part(manifest, key, {listed}) == (listed if expected else None)


# --- landing ---------------------------------------------------------------------------------------------------------


def test_an_overwritten_export_is_what_its_manifest_names(home: Home):
    configure(home, CUR_SOURCE)
    home.policies_path.write_text("landing: {shrink_share: 1}\n")
    folder = home.path / "exports/hourly"
    write_export(folder, {"hourly-1.csv.gz": ONE, "hourly-2.csv.gz": TWO, "hourly-3.csv.gz": THREE})
    age(folder, 100)
    first = land_cur(home)
    assert (first.deliveries_landed, first.rows_landed, unblended(home)) == (3, 3, Decimal(6))
    assert (count_changes(home)["cur"], land_cur(home).rows_read) == (0, 0)
    assert not any("no rows" in finding.text for finding in examine_home(home))  # a manifest is no empty bill
    # The next run is shorter: AWS overwrites the chunk that is left with one that has no rows.
    write_export(folder, {"hourly-1.csv.gz": TWO, "hourly-2.csv.gz": THREE})
    (folder / "data/BILLING_PERIOD=2026-09/hourly-3.csv.gz").write_bytes(packed(report(line()).splitlines()[0] + "\n"))
    assert land_cur(home).deliveries_refused == 0
    assert unblended(home) == Decimal(5)
    assert statuses(home)["BILLING_PERIOD=2026-09/hourly-3.csv.gz"] == SUPERSEDED
    assert count_changes(home)["cur"] == 0


def test_a_part_that_is_named_no_more_leaves_the_bill_once_that_is_accepted(home: Home):
    configure(home, CUR_SOURCE)
    folder = home.path / "exports/hourly"
    manifest = write_export(folder, {"hourly-1.csv.gz": ONE, "hourly-2.csv.gz": TWO})
    land(home)
    document = json.loads(manifest.read_text())
    manifest.write_text(json.dumps(document | {"dataFiles": document["dataFiles"][1:]}))
    assert "2 USD instead of 3 USD" in land_cur(home).messages[0]
    assert unblended(home) == Decimal(3)
    accept_source(home, "cur", "the first part was a copy")
    assert land_cur(home).deliveries_refused == 0
    assert unblended(home) == Decimal(2)


@pytest.mark.parametrize("layout", ["data export", "legacy"])
def test_of_an_exports_runs_the_newest_counts(home: Home, layout: str):
    configure(home, CUR_SOURCE)
    folder = home.path / "exports/hourly"

    def deliver(run: str, content: bytes) -> None:
        if layout == "legacy":
            write_legacy(folder, {"hourly-1.csv.gz": content}, assembly=run)
        else:
            write_export(folder, {"hourly-1.csv.gz": content}, run=run)

    deliver("8a1f", ONE)
    age(folder, 100)
    land(home)
    deliver("0b2e", TWO)
    assert land_cur(home).deliveries_landed == 1
    assert unblended(home) == Decimal(2)
    assert statuses(home)["8a1f/hourly-1.csv.gz"] == SUPERSEDED
    assert (count_changes(home)["cur"], land_cur(home).rows_read) == (0, 0)


def test_focus_exports_have_manifests_too(home: Home):
    configure(home, "{name: focus, kind: focus, location: exports/}")
    write_export(home.path / "exports/focus", {"f-1.csv": bill("1.5").encode(), "f-2.csv": bill("2.5").encode()})
    assert land(home).has_refusals is False
    assert billed(home) == Decimal(4)


def test_a_missing_part_refuses_the_export_until_it_is_there(home: Home):
    configure(home, CUR_SOURCE)
    folder = home.path / "exports/hourly"
    write_export(folder, {"hourly-1.csv.gz": ONE})
    age(folder, 100)
    land(home)
    names = ["hourly-1.csv.gz", "hourly-2.csv.gz"]
    write_export(folder, {"hourly-1.csv.gz": TWO}, named=names)
    refused = land_cur(home)
    assert (refused.deliveries_refused, unblended(home)) == (1, Decimal(1))
    assert "names 1 part(s) that are not there, such as s3://cur-bucket/exports/hourly/data" in refused.messages[0]
    assert "hourly-2.csv.gz" in query(home, QUARANTINE, "reason")[0][0]
    found = [finding for finding in examine_home(home) if finding.state is not State.FINE]
    assert any(finding.area == "source cur" and "refused whole" in finding.text for finding in found)
    assert any(finding.area == "quarantine" and "hourly-2.csv.gz" in finding.text for finding in found)
    write_export(folder, {"hourly-1.csv.gz": TWO, "hourly-2.csv.gz": THREE})
    assert land_cur(home).deliveries_refused == 0
    assert (unblended(home), query(home, QUARANTINE, "reason")) == (Decimal(5), [])
    assert REFUSED not in statuses(home).values()


def test_parts_that_change_before_their_manifest_wait_for_it(home: Home):
    configure(home, CUR_SOURCE)
    folder = home.path / "exports/hourly"
    parts = {"hourly-1.csv.gz": ONE, "hourly-2.csv.gz": TWO}
    manifest = write_export(folder, parts)
    age(folder, 100)
    land(home)
    said = manifest.stat().st_mtime
    write_export(folder, {"hourly-1.csv.gz": THREE})
    write_export(folder, parts | {"hourly-1.csv.gz": THREE})
    os.utime(manifest, (said, said))
    waiting = land_cur(home)
    assert (waiting.deliveries_refused, unblended(home)) == (1, Decimal(3))
    assert "half delivered" in waiting.messages[0]
    manifest.touch()
    assert land_cur(home).deliveries_refused == 0
    assert unblended(home) == Decimal(5)


def test_a_part_that_is_named_twice_is_read_once_and_told(home: Home):
    configure(home, CUR_SOURCE)
    manifest = write_export(home.path / "exports/hourly", {"hourly-1.csv.gz": ONE})
    (name,) = json.loads(manifest.read_text())["dataFiles"]
    manifest.write_text(json.dumps({"dataFiles": [name, name, name.removeprefix("s3://cur-bucket/")]}))
    landed = land_cur(home)
    assert (landed.deliveries_refused, unblended(home)) == (0, Decimal(1))
    assert "names 2 part(s) a second time" in landed.messages[0]
    told = query(home, DELIVERIES, "status, message where object_uri like '%Manifest.json'")
    assert told == [(LANDED, "names 2 part(s) a second time; each was read once")]


def test_a_manifest_that_cannot_be_read_refuses_its_export_alone(home: Home):
    configure(home, CUR_SOURCE)
    broken = write_export(home.path / "exports/hourly", {"hourly-1.csv.gz": ONE})
    broken.write_text("{")
    write_export(home.path / "exports/hourly", {"hourly-1.csv.gz": TWO}, period="2026-10")
    landed = land_cur(home)
    assert (landed.deliveries_refused, landed.deliveries_landed, unblended(home)) == (1, 1, Decimal(2))


def test_one_line_id_in_two_files_is_two_lines_unless_they_say_the_same(home: Home):
    """AWS: an id is unique within a file, not within a delivery."""
    configure(home, CUR_SOURCE)
    folder = home.path / "exports/hourly"
    other = packed(report(line(identity_line_item_id="a1", line_item_unblended_cost="7")))
    write_export(folder, {"hourly-1.csv.gz": ONE, "hourly-2.csv.gz": other})
    age(folder, 100)
    land(home)
    assert unblended(home) == Decimal(8)
    write_export(folder, {"hourly-1.csv.gz": ONE, "hourly-2.csv.gz": ONE})
    twice = land_cur(home)
    assert (twice.deliveries_refused, unblended(home)) == (2, Decimal(8))
    assert "the same row stands in two parts" in twice.messages[0]


def test_parts_of_one_bill_may_have_other_columns(home: Home):
    configure(home, CUR_SOURCE)
    fewer = line(identity_line_item_id="b", line_item_unblended_cost="2")
    del fewer["resource_tags"]
    more = legacy_line(**{"identity/LineItemId": "c", "product/vcpu": "96", "lineItem/UnblendedCost": "4"})
    parts = {"a.csv.gz": ONE, "b.csv.gz": packed(report(fewer)), "c.csv.gz": packed(report(more))}
    write_export(home.path / "exports/hourly", parts)
    assert land_cur(home).deliveries_refused == 0
    assert unblended(home) == Decimal(7)


def test_of_two_exports_of_one_payer_and_month_the_newer_counts(home: Home):
    configure(home, CUR_SOURCE)
    write_legacy(home.path / "exports/old", {"old-1.csv.gz": ONE})
    age(home.path / "exports/old", 100)
    write_export(home.path / "exports/new", {"new-1.csv.gz": TWO})
    for _ in range(2):
        land(home)
        assert unblended(home) == Decimal(2)
    (message,) = query(home, DELIVERIES, "message where object_uri like '%old-1.csv.gz'")[0]
    assert "superseded by" in message
    found = [finding.text for finding in examine_home(home) if finding.state is State.FINE]  # nothing is lost by it
    assert any("cur: 1 set aside, superseded by" in text and "old-1.csv.gz" in text for text in found)
    shutil.rmtree(home.path / "exports/new")
    assert land_cur(home).deliveries_refused == 0
    assert unblended(home) == Decimal(2)


def test_in_s3_a_part_newer_than_its_manifest_waits(home: Home, tmp_path: Path, s3_endpoint: str):
    client = boto3.client("s3", endpoint_url=s3_endpoint, region_name="us-east-1")
    client.create_bucket(Bucket="cur-bucket")
    options = f"options: {{endpoint_url: '{s3_endpoint}', region: us-east-1}}"
    configure(home, f"{{name: cur, kind: aws_cur, location: 's3://cur-bucket/exports/', {options}}}")
    write_export(tmp_path / "hourly", {"hourly-1.csv.gz": ONE, "hourly-2.csv.gz": TWO})

    def upload(pattern: str) -> None:
        for file in sorted(tmp_path.glob(f"hourly/{pattern}")):
            client.put_object(Bucket="cur-bucket", Key=f"exports/{file.relative_to(tmp_path)}", Body=file.read_bytes())

    upload("metadata/**/*.json")
    time.sleep(1.1)  # the store tells whole seconds
    upload("data/*/*.gz")
    waiting = land_cur(home)
    assert (waiting.deliveries_refused, unblended(home)) == (1, None)
    assert "half delivered" in waiting.messages[0]
    upload("metadata/**/*.json")
    landed = land_cur(home)
    assert (landed.deliveries_refused, landed.deliveries_landed, unblended(home)) == (0, 2, Decimal(3))
    assert land_cur(home).rows_read == 0
