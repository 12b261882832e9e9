"""Whole sources over a real S3 server: many small objects, and a store that fails on the way."""

import uuid
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.s3.models import s3_backends

from ingest import lake
from ingest.contracts import AWS_CUR_LINE_ITEMS, DELIVERIES, FOCUS_CHARGES, LITELLM_REQUESTS, QUARANTINE
from ingest.home import Home
from ingest.landing import count_changes, land
from tests.ingest.aws_reports import line, packed, report, write_export
from tests.ingest.landed import bill, billed, check_counts, configure, find, query, request
from tests.ingest.refusing_proxy import RefusingProxy


@pytest.fixture
def store(s3_endpoint: str) -> Iterator[RefusingProxy]:
    proxy = RefusingProxy(s3_endpoint)
    yield proxy
    proxy.close()


@pytest.fixture
def bucket(s3_endpoint: str) -> str:
    name = f"bucket-{uuid.uuid4().hex[:12]}"
    boto3.client("s3", endpoint_url=s3_endpoint, region_name="us-east-1").create_bucket(Bucket=name)
    return name


def put(bucket: str, key: str, content: str | bytes) -> None:
    """Straight into the server: a thousand uploads take ten seconds."""
    backend: Any = s3_backends[DEFAULT_ACCOUNT_ID]["aws"]
    backend.put_object(bucket, key, content.encode() if isinstance(content, str) else content)


def source(store: RefusingProxy, kind: str, location: str) -> str:
    options = f"{{endpoint_url: '{store.endpoint}', region: us-east-1}}"
    return f"{{name: {kind}, kind: {kind}, location: '{location}', options: {options}}}"


def test_hundreds_of_requests_of_one_object_each_land_in_one_commit(home: Home, store: RefusingProxy, bucket: str):
    configure(home, source(store, "litellm", f"s3://{bucket}/logs/"))
    for number in range(400):
        put(
            bucket,
            f"logs/2026-05-{number % 3 + 1:02}/{number:05}.json",
            request(f"r{number}", number % 3 + 1, tokens=3),
        )
    put(bucket, "logs/2026-05-01/spoiled.json", f"{request('last')}\n{{spoiled\n")
    store.refuse(503, "SlowDown", times=3, path_part="/logs/2026")
    landed = find(land(home), "litellm")
    assert (landed.rows_landed, landed.rows_quarantined, landed.is_stale) == (401, 1, False)
    assert lake.read_version(home, LITELLM_REQUESTS) in (0, 1)  # the table, and one commit
    assert query(home, LITELLM_REQUESTS, "count(distinct request_id), sum(total_tokens)") == [(401, 1_207)]
    assert store.refused_count == 3
    check_counts(home, LITELLM_REQUESTS)
    again = find(land(home), "litellm")
    assert (again.deliveries_unchanged, again.rows_read) == (401, 0)
    assert list((home.scratch_dir / "objects").iterdir()) == []


def test_a_token_that_expires_on_the_way_makes_the_source_stale_and_no_object_bad(
    home: Home, store: RefusingProxy, bucket: str
):
    configure(home, source(store, "litellm", f"s3://{bucket}/logs/"))
    for number in range(100):
        put(bucket, f"logs/{number:05}.json", request(f"r{number}"))
    store.refuse(400, "ExpiredToken", times=100_000, path_part="/logs/0005")
    stale = find(land(home), "litellm")
    assert (stale.is_stale, stale.deliveries_refused) == (True, 0)
    assert 50 <= stale.rows_landed < 100
    assert "Renew the credentials" in stale.messages[0]
    assert query(home, QUARANTINE, "count(*)") == [(0,)]
    assert count_changes(home)["litellm"] == 100 - stale.rows_landed
    store.refuse(400, "", times=0)
    rest = find(land(home), "litellm")
    assert (rest.is_stale, rest.rows_landed + stale.rows_landed) == (False, 100)
    assert query(home, LITELLM_REQUESTS, "count(distinct request_id)") == [(100,)]


@pytest.mark.parametrize("kind", ["focus", "aws_cur"])
def test_a_bill_of_which_one_part_cannot_be_had_waits_whole(
    home: Home, store: RefusingProxy, bucket: str, tmp_path: Path, kind: str
):
    def unblended() -> Decimal | None:
        return query(home, AWS_CUR_LINE_ITEMS, "sum(line_item_unblended_cost)")[0][0]

    configure(home, source(store, kind, f"s3://{bucket}/exports/"))
    if kind == "focus":
        parts = {"p-1.csv": bill("1.5").encode(), "p-2.csv": bill("2.5").encode()}
    else:
        costs = {"p-1.csv": "1.5", "p-2.csv": "2.5"}
        parts = {name: packed(report(line(line_item_unblended_cost=cost))) for name, cost in costs.items()}
    write_export(tmp_path / "e", parts)
    for file in sorted(tmp_path.glob("e/**/*.*"), reverse=True):  # the manifest after the data, as AWS does
        put(bucket, f"exports/{file.relative_to(tmp_path)}", file.read_bytes())
    for file in tmp_path.glob("e/data/**/*.csv"):
        put(bucket, f"exports/{file.relative_to(tmp_path)}", file.read_bytes())
    for file in tmp_path.glob("e/metadata/**/*.json"):
        put(bucket, f"exports/{file.relative_to(tmp_path)}", file.read_bytes())
    store.refuse(403, "AccessDenied", times=100_000, path_part="p-2.csv")
    waiting = find(land(home), kind)
    assert (waiting.is_stale, waiting.rows_landed, waiting.deliveries_refused) == (True, 0, 0)
    assert "AccessDenied" in waiting.messages[0]
    assert query(home, DELIVERIES, "count(*)") == [(0,)]
    assert query(home, FOCUS_CHARGES, "count(*)") == query(home, AWS_CUR_LINE_ITEMS, "count(*)") == [(0,)]
    store.refuse(403, "", times=0)
    landed = find(land(home), kind)
    assert (landed.is_stale, landed.deliveries_refused) == (False, 0)
    assert (billed(home) if kind == "focus" else unblended()) == Decimal(4)
