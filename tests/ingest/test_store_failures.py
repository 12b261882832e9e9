"""A store that refuses, breaks off, or is not there: asked again where that helps, told where it does not."""

import os
import socket
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path, PurePosixPath
from typing import Any

import pytest

from ingest import storage
from ingest.storage import Downloads, StorageError, fetch, list_objects
from tests.ingest.cutting_proxy import CuttingProxy
from tests.ingest.refusing_proxy import RefusingProxy


def test_an_endpoint_that_is_down_is_an_error_that_names_it(
    s3_endpoint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    with socket.create_server(("127.0.0.1", 0)) as closed:
        endpoint = f"http://127.0.0.1:{closed.getsockname()[1]}"
    with pytest.raises(StorageError, match=f"EndpointConnectionError.*{endpoint}"):
        list_objects("s3://bucket/logs/", {"endpoint_url": endpoint}, tmp_path)


@pytest.fixture
def refusing(s3_endpoint: str) -> Iterator[RefusingProxy]:
    proxy = RefusingProxy(s3_endpoint)
    yield proxy
    proxy.close()


@pytest.mark.parametrize(
    ("status", "code"), [(503, "SlowDown"), (429, "TooManyRequestsException"), (500, "InternalError"), (502, "")]
)
def test_a_store_that_is_asked_too_often_or_fails_is_asked_again(
    s3_client: Any, s3_bucket: str, refusing: RefusingProxy, tmp_path: Path, status: int, code: str
):
    s3_client.put_object(Bucket=s3_bucket, Key="a.csv", Body=b"one")
    s3_options = {"endpoint_url": refusing.endpoint, "region": "us-east-1"}
    refusing.refuse(status, code, times=2)
    (stored,) = list_objects(f"s3://{s3_bucket}/", s3_options, tmp_path)
    refusing.refuse(status, code, times=2)
    assert fetch(stored, s3_options, tmp_path / "scratch").read_bytes() == b"one"
    assert refusing.refused_count == 4


def test_an_expired_token_is_no_matter_of_trying_again(
    s3_client: Any, s3_bucket: str, refusing: RefusingProxy, tmp_path: Path
):
    refusing.refuse(400, "ExpiredToken", times=1_000)
    with pytest.raises(StorageError, match=r"ExpiredToken.*Renew the credentials"):
        list_objects(f"s3://{s3_bucket}/", {"endpoint_url": refusing.endpoint}, tmp_path)
    assert refusing.refused_count == 1


def test_downloads_come_in_order_bounded_and_leave_nothing(
    s3_client: Any, s3_bucket: str, s3_options: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(storage, "_AHEAD_OBJECTS", 4)
    monkeypatch.setattr(storage, "_AHEAD_BYTES", 25)
    for number in range(12):
        s3_client.put_object(Bucket=s3_bucket, Key=f"{number:02}.txt", Body=f"{number:010}".encode())
    listed = list_objects(f"s3://{s3_bucket}/", s3_options, tmp_path)
    scratch = tmp_path / "scratch"
    with closing(Downloads(listed, s3_options, scratch)) as downloads:
        for stored in listed[:8]:
            path = downloads.take(stored)
            assert path.read_text() == f"{int(PurePosixPath(stored.uri).stem):010}"
            assert len(list(scratch.glob("*.txt"))) <= 3  # 25 bytes are two objects, beside the one in hand
            path.unlink()
    assert list(scratch.iterdir()) == []


@pytest.fixture
def cut_connections(s3_endpoint: str) -> Iterator[CuttingProxy]:
    proxy = CuttingProxy(int(s3_endpoint.rpartition(":")[2]), body_bytes=700_000, cuts=2)
    yield proxy
    proxy.close()


def test_a_broken_connection_is_resumed_where_it_broke(
    s3_client: Any, s3_bucket: str, s3_options: dict[str, str], tmp_path: Path, cut_connections: CuttingProxy
):
    body = os.urandom(3_000_000)
    s3_client.put_object(Bucket=s3_bucket, Key="big.bin", Body=body)
    (stored,) = list_objects(f"s3://{s3_bucket}/big.bin", s3_options, tmp_path)
    cut_options = {"endpoint_url": cut_connections.endpoint}
    assert fetch(stored, cut_options, tmp_path / "scratch").read_bytes() == body
    assert cut_connections.cuts_left == 0


def test_a_connection_that_always_breaks_leaves_an_error_and_no_file(
    s3_client: Any, s3_bucket: str, s3_options: dict[str, str], tmp_path: Path, cut_connections: CuttingProxy
):
    cut_connections.body_bytes, cut_connections.cuts_left = 0, 1_000
    s3_client.put_object(Bucket=s3_bucket, Key="big.bin", Body=os.urandom(3_000_000))
    (stored,) = list_objects(f"s3://{s3_bucket}/big.bin", s3_options, tmp_path)
    with pytest.raises(StorageError, match=rf"s3://{s3_bucket}/big\.bin: .*{cut_connections.endpoint} is up"):
        fetch(stored, {"endpoint_url": cut_connections.endpoint}, tmp_path / "scratch")
    assert list((tmp_path / "scratch").iterdir()) == []
