"""Ask Google's Cloud Billing Catalog over gRPC for the prices of GPUs, vCPUs and memory, a day of versions at a time.

Through google-cloud-billing. A question may span one calendar month of Pacific time, so that a day that crosses one is
asked in two. Retries are the client's own; credentials are Google's affair.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

import google.auth.exceptions
import grpc
from google.api_core import exceptions
from google.api_core.client_options import ClientOptions
from google.api_core.retry import Retry, if_exception_type
from google.cloud import billing_v1
from google.cloud.billing_v1.services.cloud_catalog.transports import CloudCatalogGrpcTransport

from ingest.http_client import ServerError
from ingest.reference.gcp_skus import is_priced_part
from ingest.source import Window

COMPUTE_ENGINE: Final = "services/6F81-5844-456A"
RETRY: Final = Retry(
    predicate=if_exception_type(
        exceptions.ServiceUnavailable, exceptions.ResourceExhausted, exceptions.InternalServerError
    ),
    initial=0.5,
    maximum=30,
    multiplier=2,
    timeout=120,
)
_PACIFIC: Final = ZoneInfo("America/Los_Angeles")
_SKUS_A_PAGE: Final = 5_000
_TIMEOUT_SECONDS: Final = 150
_LOCAL: Final = ("localhost", "127.0.0.1", "::1")
_LATER: Final = "Check that it is reachable from here; the next run goes on where this one stopped."
_RENEW: Final = (
    "Set GOOGLE_APPLICATION_CREDENTIALS to a service account's file, run `gcloud auth application-default login`, or "
    "renew what is there."
)


class CloudBilling:
    """The SKUs of one service of Google Cloud."""

    def __init__(self, location: str, options: Mapping[str, Any]) -> None:
        self._location = location
        self._seconds = float(options.get("timeout_seconds", _TIMEOUT_SECONDS))
        parts = urlsplit(location)
        self._parent = "/".join([parts.netloc, *parts.path.strip("/").split("/")])
        if parts.netloc != "services" or self._parent.count("/") != 1 or self._parent.endswith("/"):
            raise ServerError(f"{location}: expected cloudbilling://{COMPUTE_ENGINE}, or another service's id")
        with self._explain_errors():
            self._client = _open_client(options.get("endpoint_url"))

    def check(self) -> str:
        """What answers. Raises `ServerError`."""
        with self._explain_errors():
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
        with self._explain_errors():
            pager = self._client.list_skus(request=request, retry=RETRY, timeout=self._seconds)
            for page in pager.pages:
                for sku in page.skus:
                    if is_priced_part(sku.category.resource_group):
                        yield billing_v1.Sku.to_dict(sku, preserving_proto_field_name=False)
                if page.next_page_token in tokens:
                    raise ServerError(f"{self._location}: its pages have no end: run again.")
                tokens |= {page.next_page_token} - {""}

    @contextmanager
    def _explain_errors(self) -> Iterator[None]:
        """Say what failed and what to do; never the credentials."""
        try:
            yield
        except exceptions.RetryError as error:
            raise ServerError(f"{self._location}: {_tell(error.cause or error)}. {_LATER}") from error
        except (
            exceptions.Unauthenticated,
            exceptions.PermissionDenied,
            google.auth.exceptions.GoogleAuthError,
        ) as error:
            raise ServerError(f"{self._location}: {_tell(error)}. {_RENEW}") from error
        except exceptions.NotFound as error:
            raise ServerError(f"{self._location}: {_tell(error)}. Correct the service's id.") from error
        except (exceptions.GoogleAPICallError, grpc.RpcError) as error:
            raise ServerError(f"{self._location}: {_tell(error)}. {_LATER}") from error


def split_at_pacific_month(window: Window) -> list[tuple[datetime, datetime]]:
    """The window, in two where a calendar month of Pacific time ends inside it."""
    last = window.end.astimezone(_PACIFIC)
    boundary = last.replace(day=1, hour=0, minute=0, second=0, microsecond=0).astimezone(UTC)
    if window.start < boundary < window.end:
        return [(window.start, boundary), (boundary, window.end)]
    return [(window.start, window.end)]


def _open_client(endpoint: str | None) -> billing_v1.CloudCatalogClient:
    parts = urlsplit(endpoint or "")
    if parts.scheme == "http":
        if parts.hostname not in _LOCAL:
            raise ServerError(f"{endpoint}: expected https, but for a server on this machine")
        channel = grpc.insecure_channel(parts.netloc)
        return billing_v1.CloudCatalogClient(transport=CloudCatalogGrpcTransport(channel=channel))
    return billing_v1.CloudCatalogClient(client_options=ClientOptions(api_endpoint=parts.netloc) if endpoint else None)


def _tell(error: object) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
