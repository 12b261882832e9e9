"""Fixtures of the ways in: an empty home, and an S3 server on loopback."""

import gzip
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import boto3
import pyarrow as pa
import pytest
from moto.server import ThreadedMotoServer

from ingest.home import Home, create_home
from ingest.source import SourceKind, SourceObject

MODIFIED_AT = datetime(2026, 9, 1, 12, tzinfo=UTC)


@dataclass
class ReadResult:
    """A `RowSink` in memory: what one kind made of one object."""

    kind: SourceKind
    batches: list[pa.Table] = field(default_factory=list)
    refused: list[tuple[int | None, str | None, str, str]] = field(default_factory=list)

    def write(self, batch: pa.Table) -> None:
        allowed = {item.name: item.type for item in self.kind.table.schema}
        assert {item.name: item.type for item in batch.schema}.items() <= allowed.items()
        self.batches.append(batch)

    def refuse_row(self, position: int | None, field: str | None, reason: str, found: str = "") -> None:
        self.refused.append((position, field, reason, found))

    @property
    def rows(self) -> list[dict[str, Any]]:
        """Landed rows with every contract column, absent ones null."""
        names = [item.name for item in self.kind.table.schema]
        rows = [row for batch in self.batches for row in batch.to_pylist()]
        return [{name: row.get(name) for name in names} for row in rows]

    @property
    def row_count(self) -> int:
        return sum(batch.num_rows for batch in self.batches)


ReadObject = Callable[..., ReadResult]
"""read_object(kind, path or content, **options): gzip is the caller's to write; text and bytes become a file."""


@pytest.fixture
def read_object(tmp_path: Path) -> ReadObject:
    def read(kind: SourceKind, content: Path | str | bytes, **options: Any) -> ReadResult:
        path = content if isinstance(content, Path) else tmp_path / "object"
        if not isinstance(content, Path):
            path.write_bytes(content.encode() if isinstance(content, str) else content)
        result = ReadResult(kind)
        kind.read(SourceObject(uri=str(path), path=path, modified_at=MODIFIED_AT, options=options), result)
        return result

    return read


@pytest.fixture(params=["plain", "gzip", "gzip in two members"])
def pack(request: pytest.FixtureRequest) -> Callable[[str], bytes]:
    """Bytes of a text as files come: plain, gzip, or gzip of two appended parts."""

    def make(text: str) -> bytes:
        content = text.encode()
        if request.param == "plain":
            return content
        middle = len(content) // 2 if request.param == "gzip in two members" else 0
        return gzip.compress(content[:middle]) + gzip.compress(content[middle:])

    return make


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return create_home(tmp_path / "home")


@pytest.fixture(scope="session")
def s3_server() -> Iterator[str]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def s3_endpoint(s3_server: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    """URL of the S3 server; the credentials of this test's environment, and no others, are the ones in use."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test-key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test-secret")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "aws-config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "aws-credentials"))
    for name in ("AWS_PROFILE", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    return s3_server


@pytest.fixture
def s3_client(s3_endpoint: str) -> Any:
    return boto3.client("s3", endpoint_url=s3_endpoint, region_name="us-east-1")


@pytest.fixture
def s3_bucket(s3_client: Any) -> str:
    name = f"bucket-{uuid.uuid4().hex[:12]}"
    s3_client.create_bucket(Bucket=name)
    return name


@pytest.fixture
def s3_options(s3_endpoint: str) -> dict[str, str]:
    return {"endpoint_url": s3_endpoint, "region": "us-east-1"}
