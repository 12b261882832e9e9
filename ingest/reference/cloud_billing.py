"""Ask Google's Cloud Billing Catalog over gRPC for the prices of GPUs, vCPUs and memory, a day of versions at a time.

Through google-cloud-billing. A question may span one calendar month of Pacific time, so that a day that crosses one is
asked in two. Retries are the client's own; credentials are Google's affair.
"""

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from google.cloud import billing_v1
from google.cloud.billing_v1.services.cloud_catalog.transports import CloudCatalogGrpcTransport

from ingest.http_client import ServerError
from ingest.reference.gcp_skus import is_priced_part
from ingest.reference.google_grpc import RETRY, explain_errors, open_client
from ingest.source import Window

COMPUTE_ENGINE: Final = "services/6F81-5844-456A"
_PACIFIC: Final = ZoneInfo("America/Los_Angeles")
_SKUS_A_PAGE: Final = 5_000
_TIMEOUT_SECONDS: Final = 150
_CORRECT: Final = "Correct the service's id."


class CloudBilling:
    """The SKUs of one service of Google Cloud."""

    def __init__(self, location: str, options: Mapping[str, Any]) -> None:
        self._location = location
        self._seconds = float(options.get("timeout_seconds", _TIMEOUT_SECONDS))
        parts = urlsplit(location)
        self._parent = "/".join([parts.netloc, *parts.path.strip("/").split("/")])
        if parts.netloc != "services" or self._parent.count("/") != 1 or self._parent.endswith("/"):
            raise ServerError(f"{location}: expected cloudbilling://{COMPUTE_ENGINE}, or another service's id")
        with explain_errors(location, _CORRECT):
            self._client = open_client(
                billing_v1.CloudCatalogClient, CloudCatalogGrpcTransport, options.get("endpoint_url")
            )

    def check(self) -> str:
        """What answers. Raises `ServerError`."""
        with explain_errors(self._location, _CORRECT):
            answer = self._client.list_skus(
                request={"parent": self._parent, "page_size": 1}, retry=RETRY, timeout=self._seconds
            )
            first = next(iter(answer.skus), None)
        return f"Cloud Billing Catalog of {first.category.service_display_name if first else self._parent}"

    def close(self) -> None:
        self._client.transport.close()

    def read_clock(self) -> datetime:
        """Ours: the catalog tells none."""
        return datetime.now(UTC)

    def peek(self, window: Window) -> str | None:
        """There is no cheap question."""
        return None

    def pull(self, window: Window, target: Path) -> None:
        """One JSON object a SKU, with the price versions that held in the window, and the window's day."""
        seen: set[bytes] = set()
        with target.open("wb") as file:
            for start, end in split_at_pacific_month(window):
                for sku in self._list_skus(start, end):
                    line = json.dumps({"asOf": window.start.isoformat(), **sku}).encode() + b"\n"
                    if line not in seen:  # a version that holds on both sides of a month's end
                        seen.add(line)
                        file.write(line)

    def _list_skus(self, start: datetime, end: datetime) -> Iterator[dict[str, Any]]:
        request = billing_v1.ListSkusRequest(
            parent=self._parent, start_time=start, end_time=end, currency_code="USD", page_size=_SKUS_A_PAGE
        )
        tokens: set[str] = set()
        with explain_errors(self._location, _CORRECT):
            pager = self._client.list_skus(request=request, retry=RETRY, timeout=self._seconds)
            for page in pager.pages:
                for sku in page.skus:
                    if is_priced_part(sku.category.resource_group):
                        yield billing_v1.Sku.to_dict(sku, preserving_proto_field_name=False)
                if page.next_page_token in tokens:
                    raise ServerError(f"{self._location}: its pages have no end: run again.")
                tokens |= {page.next_page_token} - {""}


def split_at_pacific_month(window: Window) -> list[tuple[datetime, datetime]]:
    """The window, in two where a calendar month of Pacific time ends inside it."""
    last = window.end.astimezone(_PACIFIC)
    boundary = last.replace(day=1, hour=0, minute=0, second=0, microsecond=0).astimezone(UTC)
    if window.start < boundary < window.end:
        return [(window.start, boundary), (boundary, window.end)]
    return [(window.start, window.end)]
