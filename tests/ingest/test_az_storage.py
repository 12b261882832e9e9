"""`az://` over Azure's own client: its storage emulator, and a server in front of it that fails on the way."""

import gzip
import json
import logging
import socket
import time
import uuid
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import jwt
import pytest
from azure.storage.blob import (
    AccountSasPermissions,
    BlobServiceClient,
    ContainerClient,
    ContentSettings,
    ResourceTypes,
    generate_account_sas,
)

from ingest import retrying
from ingest.contracts import FOCUS_CHARGES
from ingest.home import Home
from ingest.landing import land
from ingest.storage import Downloads, StorageError, fetch, list_objects, open_stream
from ingest.stores import az
from tests.ingest.azurite_server import ACCOUNT, ACCOUNT_KEY, AzuriteServer, connection_string
from tests.ingest.certificates import write_certificate
from tests.ingest.front_server import FrontServer
from tests.ingest.landed import bill, billed, check_counts, configure, find
from tests.ingest.scripted_server import Reply, ScriptedServer

VARIABLE = "AZURE_STORAGE_CONNECTION_STRING"


@pytest.fixture(scope="module")
def azurite() -> Iterator[AzuriteServer]:
    server = AzuriteServer()
    yield server
    server.close()


@pytest.fixture(autouse=True)
def quick_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retrying, "FIRST_PAUSE_SECONDS", 0.01)


@pytest.fixture
def front(azurite: AzuriteServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[FrontServer]:
    front = FrontServer(azurite.location)
    monkeypatch.setenv(VARIABLE, connection_string(f"{front.server.location}/{ACCOUNT}"))
    yield front
    front.server.close()


@pytest.fixture
def container(azurite: AzuriteServer) -> ContainerClient:
    service = BlobServiceClient.from_connection_string(connection_string(azurite.endpoint))
    return service.create_container(f"c-{uuid.uuid4().hex[:12]}")


def put(container: ContainerClient, name: str, content: str | bytes, **more: str) -> None:
    container.upload_blob(name, content, overwrite=True, metadata=more or None)


def sign(expires_in: timedelta) -> str:
    """A shared access signature."""
    permissions = AccountSasPermissions(read=True, list=True)
    expiry = datetime.now(UTC) + expires_in
    return generate_account_sas(ACCOUNT, ACCOUNT_KEY, ResourceTypes(container=True, object=True), permissions, expiry)


def test_a_location_is_a_blob_a_folder_or_a_glob(container: ContainerClient, front: FrontServer, tmp_path: Path):
    for name in ("a/1.csv", "a/b/2.csv", "a/.hidden/3.csv", "ab.csv"):
        put(container, name, name)
    put(container, "a/", "")
    put(container, "a/b", "", hdi_isfolder="true")

    def listed(location: str) -> list[str]:
        found = list_objects(f"az://{container.container_name}/{location}", {}, tmp_path)
        return [item.uri.removeprefix(f"az://{container.container_name}/") for item in found]

    assert listed("a/1.csv") == ["a/1.csv"]
    assert listed("a") == listed("a/") == ["a/1.csv", "a/b/2.csv"]
    assert listed("a/*.csv") == ["a/1.csv"]
    assert listed("**/*.csv") == ["a/1.csv", "a/b/2.csv", "ab.csv"]
    assert listed("none/") == []
    with pytest.raises(StorageError, match="no such object"):
        listed("a/none.csv")
    with pytest.raises(StorageError, match="a bucket is never a glob"):
        list_objects("az://c*/a", {}, tmp_path)
    with pytest.raises(StorageError, match=r"ContainerNotFound.*Correct the container"):
        list_objects("az://no-such-container/a/", {}, tmp_path)


@pytest.mark.parametrize(
    "failure",
    [Reply("", 429, {"Retry-After": "0"}), Reply("", 500), Reply("", 503, {"x-ms-error-code": "ServerBusy"}), None],
    ids=["429", "500", "503", "cut"],
)
def test_a_bill_lands_from_a_store_that_fails_on_the_way(
    home: Home, container: ContainerClient, front: FrontServer, failure: Reply | None
):
    put(container, "exports/1.csv.gz", gzip.compress(bill("1.5", "2.5").encode()))
    put(container, "exports/2.csv", bill("4", month=6))
    configure(home, f'{{name: bills, kind: focus, location: "az://{container.container_name}/exports/"}}')
    front.failures = [(container.container_name, failure), ("1.csv.gz", failure)]
    report = find(land(home), "bills")
    assert report.messages == []
    assert (report.is_stale, report.deliveries_landed, front.failures) == (False, 2, [])
    assert billed(home) == Decimal(8)
    assert find(land(home), "bills").deliveries_unchanged == 2
    put(container, "exports/2.csv", bill("5", month=6))
    assert find(land(home), "bills").deliveries_landed == 1
    assert billed(home) == Decimal(9)
    check_counts(home, FOCUS_CHARGES)


def test_a_blob_is_read_in_ranges_of_what_was_listed(
    container: ContainerClient, front: FrontServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(az, "_RANGE_BYTES", 1000)
    content = gzip.compress(bytes(range(256)) * 40, mtime=0) + bytes(3000)
    container.upload_blob("large.bin", content, content_settings=ContentSettings(content_encoding="gzip"))
    put(container, "empty.bin", b"")
    empty, large = list_objects(f"az://{container.container_name}/*.bin", {}, tmp_path)
    front.failures = [("large.bin", None)]
    assert fetch(large, {}, tmp_path / "scratch").read_bytes() == content
    assert front.failures == []
    assert fetch(empty, {}, tmp_path / "scratch").read_bytes() == b""
    container.upload_blob("large.bin", content, overwrite=True)
    with pytest.raises(StorageError, match="replaced or deleted after it was listed"), open_stream(large, {}) as stream:
        stream.read()
    front.server.answer = lambda _: Reply("", 404, {"x-ms-error-code": "BlobNotFound"})
    with pytest.raises(StorageError, match="was deleted after it was listed"), open_stream(large, {}) as stream:
        stream.read()


def test_a_listing_of_many_pages_is_read_to_its_end_and_one_that_goes_round_is_refused(
    container: ContainerClient, front: FrontServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    for number in range(7):
        put(container, f"{number}.csv", str(number))
    # What is asked beside is no part of a shared access signature, and would be of a key's.
    signed = f"BlobEndpoint={front.server.location}/{ACCOUNT};SharedAccessSignature={sign(timedelta(hours=1))}"
    monkeypatch.setenv(VARIABLE, signed)
    front.asked_too = {"maxresults": "3"}
    location = f"az://{container.container_name}/"
    front.failures = [(container.container_name, Reply("", 500))]
    assert [item.uri.removeprefix(location) for item in list_objects(location, {}, tmp_path)] == [
        f"{number}.csv" for number in range(7)
    ]
    assert len(front.server.questions) == 4
    page = '<?xml version="1.0"?><EnumerationResults><Blobs/><NextMarker>again</NextMarker></EnumerationResults>'
    front.server.answer = lambda _: Reply(page, 200, {"Content-Type": "application/xml"})
    with pytest.raises(StorageError, match="came back to a page that was read"):
        list_objects(location, {}, tmp_path)


def test_many_blobs_come_in_order_over_connections_that_are_kept(
    container: ContainerClient, front: FrontServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    for number in range(48):
        put(container, f"{number:02}.txt", f"{number}")
    listed = list_objects(f"az://{container.container_name}/", {}, tmp_path)
    with closing(Downloads(listed, {}, tmp_path / "scratch")) as downloads:
        assert [downloads.take(stored).read_text() for stored in listed] == [f"{number}" for number in range(48)]
    assert "pool is full" not in caplog.text


def test_a_signature_that_expired_is_told_and_never_shown(
    container: ContainerClient,
    front: FrontServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
):
    caplog.set_level(logging.INFO)
    expired = sign(timedelta(hours=-1))
    signature = expired.partition("sig=")[2]
    monkeypatch.setenv(VARIABLE, f"BlobEndpoint={front.server.location}/{ACCOUNT};SharedAccessSignature={expired}")
    with pytest.raises(StorageError, match=r"Auth\w+: .*Renew the key or the shared access") as refused:
        list_objects(f"az://{container.container_name}/", {}, tmp_path)
    assert len(front.server.questions) == 1
    with socket.create_server(("127.0.0.1", 0)) as closed:
        endpoint = f"http://127.0.0.1:{closed.getsockname()[1]}/{ACCOUNT}"
    monkeypatch.setenv(VARIABLE, f"BlobEndpoint={endpoint};SharedAccessSignature={expired}")
    with pytest.raises(StorageError, match=r"is up and reachable from here") as unreachable:
        list_objects(f"az://{container.container_name}/", {}, tmp_path)
    for text in (str(refused.value), str(unreachable.value), caplog.text):
        assert signature not in text


def test_a_key_that_is_wrong_or_may_not_is_told_with_its_mend(
    container: ContainerClient, front: FrontServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    location = f"az://{container.container_name}/"
    monkeypatch.setenv(VARIABLE, connection_string(f"{front.server.location}/{ACCOUNT}").replace("Eby8", "Eby9"))
    with pytest.raises(StorageError, match=r"Auth\w+: .*Renew the key"):
        list_objects(location, {}, tmp_path)
    front.server.answer = lambda _: Reply("", 403, {"x-ms-error-code": "AuthorizationPermissionMismatch"})
    with pytest.raises(StorageError, match="Storage Blob Data Reader"):
        list_objects(location, {}, tmp_path)
    monkeypatch.setenv(VARIABLE, "AccountKey=hunter2;nonsense")
    with pytest.raises(StorageError, match=f"{VARIABLE} is not as Azure writes it") as malformed:
        list_objects(location, {}, tmp_path)
    assert "hunter2" not in str(malformed.value)
    monkeypatch.delenv(VARIABLE)
    with pytest.raises(StorageError, match=r"no storage account is named.*endpoint_url"):
        list_objects(location, {}, tmp_path)


def test_an_endpoint_of_another_account_is_never_shown_the_key(front: FrontServer, tmp_path: Path):
    other = ScriptedServer(lambda _: Reply("", 403))
    try:
        with pytest.raises(StorageError, match="must be https"):
            list_objects("az://c/", {"endpoint_url": f"{other.location}/another"}, tmp_path)
        assert other.questions == []
        with pytest.raises(StorageError, match="Grant the credentials"):
            list_objects("az://c/", {"endpoint_url": f"{other.location}/{ACCOUNT}"}, tmp_path)
        assert len(other.questions) == 1
    finally:
        other.close()


def make_token(expires_in: timedelta) -> str:
    now = int(time.time())
    claims = {
        "aud": "https://storage.azure.com",
        "iss": f"https://sts.windows.net/{uuid.uuid4()}/",
        "iat": now - 9_000,
        "nbf": now - 9_000,
        "exp": now + int(expires_in.total_seconds()),
    }
    return jwt.encode(claims, "s" * 32)


def test_a_managed_identity_reads_over_tls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    write_certificate(tmp_path)
    tls = ("--oauth", "basic", "--cert", tmp_path / "ca.pem", "--key", tmp_path / "key.pem")
    server = AzuriteServer(*tls)
    valid = timedelta(hours=1)

    def give_token(_: object) -> Reply:
        expires_on = int(time.time()) + 3_600
        token = {"access_token": make_token(valid), "expires_on": expires_on, "resource": "r", "token_type": "Bearer"}
        return Reply(json.dumps(token), 200, {"Content-Type": "application/json"})

    identity = ScriptedServer(give_token)
    try:
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "ca.pem"))
        service = BlobServiceClient.from_connection_string(connection_string(server.endpoint))
        service.create_container("bills").upload_blob("1.csv", b"one")
        monkeypatch.delenv(VARIABLE, raising=False)
        monkeypatch.setenv("IDENTITY_ENDPOINT", f"{identity.location}/token")
        monkeypatch.setenv("IDENTITY_HEADER", "header-1")
        monkeypatch.setenv("AZURE_TOKEN_CREDENTIALS", "ManagedIdentityCredential")
        options = {"endpoint_url": server.endpoint}
        (stored,) = list_objects("az://bills/", options, tmp_path)
        assert fetch(stored, options, tmp_path / "scratch").read_bytes() == b"one"
        assert [question.headers["X-IDENTITY-HEADER"] for question in identity.questions] == ["header-1"]
        valid = timedelta(hours=-1)
        monkeypatch.setenv("IDENTITY_HEADER", "header-2")
        with pytest.raises(StorageError, match=r"AuthenticationFailed.*run `az login`"):
            list_objects("az://bills/", options, tmp_path)
    finally:
        identity.close()
        server.close()
