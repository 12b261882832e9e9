"""`gs://` over Google's own client: an emulator of Cloud Storage, and a server in front of it that fails on the way."""

import gzip
import socket
import uuid
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest
from gcp_storage_emulator.server import create_server
from google.auth.credentials import AnonymousCredentials
from google.cloud import storage

from ingest.contracts import FOCUS_CHARGES
from ingest.home import Home
from ingest.landing import land
from ingest.storage import StorageError, fetch, list_objects, open_stream
from ingest.stores import gcs
from tests.ingest.front_server import FrontServer
from tests.ingest.landed import bill, billed, check_counts, configure, find
from tests.ingest.scripted_server import Reply


@pytest.fixture(scope="module")
def emulator() -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    server = create_server("127.0.0.1", port, in_memory=True)
    server.start()
    yield f"http://127.0.0.1:{port}"
    server.stop()


@pytest.fixture
def front(emulator: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[FrontServer]:
    front = FrontServer(emulator)
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", front.server.location)
    fast = gcs._RETRY.with_delay(initial=0.01, maximum=0.05).with_timeout(2)
    monkeypatch.setattr(gcs, "_RETRY", fast)
    yield front
    front.server.close()


@pytest.fixture
def bucket(emulator: str) -> storage.Bucket:
    client = storage.Client(
        project="none", credentials=AnonymousCredentials(), client_options={"api_endpoint": emulator}
    )
    return client.create_bucket(f"bucket-{uuid.uuid4().hex[:12]}")


def put(bucket: storage.Bucket, key: str, content: str | bytes) -> None:
    bucket.blob(key).upload_from_string(content)


def test_a_location_is_an_object_a_folder_or_a_glob(bucket: storage.Bucket, front: FrontServer, tmp_path: Path):
    for key in ("a/1.csv", "a/b/2.csv", "a/.hidden/3.csv", "ab.csv", "a/"):
        put(bucket, key, "" if key == "a/" else key)

    def listed(location: str) -> list[str]:
        found = list_objects(f"gs://{bucket.name}/{location}", {}, tmp_path)
        return [item.uri.removeprefix(f"gs://{bucket.name}/") for item in found]

    assert listed("a/1.csv") == ["a/1.csv"]
    assert listed("a") == listed("a/") == ["a/1.csv", "a/b/2.csv"]
    assert listed("a/*.csv") == ["a/1.csv"]
    assert listed("**/*.csv") == ["a/1.csv", "a/b/2.csv", "ab.csv"]
    assert listed("none/") == []
    with pytest.raises(StorageError, match="no such object"):
        listed("a/none.csv")
    with pytest.raises(StorageError, match="a bucket is never a glob"):
        list_objects("gs://b*/a", {}, tmp_path)


@pytest.mark.parametrize(
    "failure",
    [
        Reply('{"error": {"code": 429}}', 429),
        Reply('{"error": {"code": 500}}', 500),
        Reply('{"error": {"code": 503}}', 503),
        None,
    ],
    ids=["429", "500", "503", "cut"],
)
def test_a_bill_lands_from_a_store_that_fails_on_the_way(
    home: Home, bucket: storage.Bucket, front: FrontServer, failure: Reply | None
):
    put(bucket, "exports/1.csv.gz", gzip.compress(bill("1.5", "2.5").encode()))
    put(bucket, "exports/2.csv", bill("4", month=6))
    configure(home, f'{{name: bills, kind: focus, location: "gs://{bucket.name}/exports/"}}')
    front.failures = [("/b/", failure), ("1.csv.gz", failure)]
    report = find(land(home), "bills")
    assert report.messages == []
    assert (report.is_stale, report.deliveries_landed, front.failures) == (False, 2, [])
    assert billed(home) == Decimal(8)
    assert find(land(home), "bills").deliveries_unchanged == 2
    put(bucket, "exports/2.csv", bill("5", month=6))
    assert find(land(home), "bills").deliveries_landed == 1
    assert billed(home) == Decimal(9)
    check_counts(home, FOCUS_CHARGES)


def test_an_object_is_read_in_ranges_of_what_was_listed(
    bucket: storage.Bucket, front: FrontServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(gcs, "_RANGE_BYTES", 1000)
    content = bytes(range(256)) * 40
    put(bucket, "large.bin", content)
    put(bucket, "empty.bin", b"")
    empty, large = list_objects(f"gs://{bucket.name}/*.bin", {}, tmp_path)
    assert fetch(large, {}, tmp_path / "scratch").read_bytes() == content
    assert fetch(empty, {}, tmp_path / "scratch").read_bytes() == b""
    bucket.blob("large.bin").delete()
    with pytest.raises(StorageError, match="deleted or replaced after it was listed"), open_stream(large, {}) as stream:
        stream.read()


@pytest.mark.parametrize(
    ("status", "mend"), [(401, "GOOGLE_APPLICATION_CREDENTIALS"), (403, "objectViewer"), (404, "Correct the bucket")]
)
def test_what_lasts_is_told_with_its_mend(front: FrontServer, tmp_path: Path, status: int, mend: str):
    front.server.answer = lambda _: Reply(f'{{"error": {{"code": {status}, "message": "no"}}}}', status)
    with pytest.raises(StorageError, match=mend):
        list_objects("gs://some-bucket/a/", {}, tmp_path)


def test_without_credentials_it_is_said_where_they_are_looked_for(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.delenv("STORAGE_EMULATOR_HOST", raising=False)
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "absent.json"))
    with pytest.raises(StorageError, match="GOOGLE_APPLICATION_CREDENTIALS"):
        list_objects("gs://some-bucket/a/", {}, tmp_path)
