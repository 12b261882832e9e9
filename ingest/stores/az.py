"""Blobs in Azure Storage. Credentials are Azure's own affair: a connection string in the environment, else what
azure-identity finds (environment, workload or managed identity, `az login`).

The library asks again neither what was refused with 429 nor often enough what breaks off, and its first pause is
fifteen seconds, so asking again is done here. A blob is read in ranges of the version that was listed.
"""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC
from functools import lru_cache
from typing import Any, Final, TypeVar

import requests
from azure.core import MatchConditions
from azure.core.exceptions import AzureError, ClientAuthenticationError, HttpResponseError
from azure.core.pipeline.transport import RequestsTransport
from azure.identity import DefaultAzureCredential
from azure.storage.blob import BlobProperties, BlobServiceClient
from requests.adapters import HTTPAdapter
from urllib3 import Retry

from ingest.retrying import LONGEST_ASKED_PAUSE_SECONDS, PassingError, read_retry_after, repeat
from ingest.stores.ranged import RangedBody
from ingest.stores.stored import AZ_SCHEME, StorageError, StoredObject, choose_listed, split_uri

_CONNECTION_STRING: Final = "AZURE_STORAGE_CONNECTION_STRING"
_CREDENTIAL_VARIABLES: Final = ("AZURE_", "IDENTITY_", "MSI_")
_CONNECTIONS: Final = 32
_RANGE_BYTES: Final = 8 << 20
_SHOWN_CHARACTERS: Final = 300
_TRIED_AGAIN: Final = (408, 429, 500, 502, 503, 504)
_T = TypeVar("_T")


def list_objects(location: str, options: Mapping[str, Any]) -> list[StoredObject]:
    """The blob of a name, else everything below it; globs as on disk."""
    return choose_listed(location, AZ_SCHEME, lambda container, prefix: _list_keys(container, prefix, options))


def _list_keys(container: str, prefix: str, options: Mapping[str, Any]) -> Iterator[StoredObject]:
    with _explain_errors(f"{AZ_SCHEME}{container}/{prefix}", options):
        # The metadata tell the folders of an account with a hierarchical namespace, which are listed as empty blobs.
        listing = _make_client(options).get_container_client(container).list_blobs(prefix or None, include=["metadata"])
        for blob in _read_pages(listing.by_page(), f"{AZ_SCHEME}{container}/{prefix}"):
            is_folder = (blob.metadata or {}).get("hdi_isfolder") == "true"
            if is_folder or (blob.size == 0 and blob.name.endswith("/")):
                continue
            yield StoredObject(
                uri=f"{AZ_SCHEME}{container}/{blob.name}",
                size_bytes=blob.size,
                etag=blob.etag.strip('"'),
                modified_at=blob.last_modified.astimezone(UTC),
            )


def _read_pages(pages: Any, uri: str) -> Iterator[BlobProperties]:
    seen: set[str] = set()
    while (page := _ask_again(lambda: next(pages, None))) is not None:
        yield from page
        marker = pages.continuation_token
        if marker in seen:
            raise StorageError(f"{uri}: the listing came back to a page that was read. Run again later.")
        seen.add(marker)


def open_body(stored: StoredObject, options: Mapping[str, Any]) -> RangedBody:
    """The version that was listed, or none."""
    container, name = split_uri(stored.uri, AZ_SCHEME)

    def read_range(start: int, end: int) -> bytes:
        with _explain_errors(stored.uri, options):
            blob = _make_client(options).get_blob_client(container, name)
            # As stored: what says that it is gzipped must come as it was listed.
            return _ask_again(
                lambda: blob.download_blob(
                    start,
                    end - start,
                    etag=f'"{stored.etag}"',
                    match_condition=MatchConditions.IfNotModified,
                    decompress=False,
                ).readall()
            )

    return RangedBody(stored, read_range, _RANGE_BYTES)


def _ask_again(ask: Callable[[], _T]) -> _T:
    def attempt() -> _T:
        try:
            return ask()
        except AzureError as error:
            if _is_passing(error):
                headers = getattr(getattr(error, "response", None), "headers", {})
                asked_pause = read_retry_after(headers.get("Retry-After"))
                raise PassingError(type(error).__name__, min(asked_pause, LONGEST_ASKED_PAUSE_SECONDS)) from error
            raise

    try:
        return repeat(attempt)
    except PassingError as error:
        raise error.__cause__ or error from None


def _is_passing(error: AzureError) -> bool:
    if isinstance(error, HttpResponseError) and (error.status_code or 0) >= 400:
        return error.status_code in _TRIED_AGAIN
    return not isinstance(error, ClientAuthenticationError)


def _make_client(options: Mapping[str, Any]) -> BlobServiceClient:
    settings = tuple(sorted(item for item in os.environ.items() if item[0].startswith(_CREDENTIAL_VARIABLES)))
    return _cache_client(options.get("endpoint_url"), settings)


@lru_cache(maxsize=32)
def _cache_client(endpoint_url: str | None, settings: tuple[tuple[str, str], ...]) -> BlobServiceClient:
    connection_string = dict(settings).get(_CONNECTION_STRING)
    transport: dict[str, Any] = {"retry_total": 0, "transport": _make_transport()}
    if connection_string is None and endpoint_url is None:
        raise ValueError(f"no storage account is named. {_NAME_ACCOUNT}")
    known = None
    if connection_string is not None:
        try:
            known = BlobServiceClient.from_connection_string(connection_string, **transport)
        except ValueError:
            # The library's own words repeat parts of what is a secret.
            raise ValueError(f"{_CONNECTION_STRING} is not as Azure writes it. {_NAME_ACCOUNT}") from None
        if endpoint_url is None:
            return known
    assert endpoint_url is not None
    # A key is for its own account: it is never shown to another.
    account = BlobServiceClient(endpoint_url, **transport).account_name
    is_known = known is not None and known.account_name == account
    if not is_known and not endpoint_url.startswith("https://"):
        raise ValueError(f"without a key of that account, options.endpoint_url must be https. {_NAME_ACCOUNT}")
    credential = known.credential if known is not None and is_known else DefaultAzureCredential()
    return BlobServiceClient(endpoint_url, credential=credential, **transport)


def _make_transport() -> RequestsTransport:
    """The library keeps ten connections, and downloads are more: it would open one anew, and warn, each time."""
    session = requests.Session()
    # As the library's own: of retries that are counted, the last error tells the address with its signature.
    adapter = HTTPAdapter(pool_maxsize=_CONNECTIONS, max_retries=Retry(total=False, redirect=False))
    session.mount("http://", adapter)
    session.mount("https://", adapter)
    return RequestsTransport(session=session, session_owner=False, connection_timeout=10, read_timeout=60)


_NAME_ACCOUNT: Final = (
    f"Set options.endpoint_url of the source to https://ACCOUNT.blob.core.windows.net, or {_CONNECTION_STRING}."
)
_LATER: Final = "Run again later; what was not read is read then."
_RENEW: Final = (
    f"Renew the key or the shared access signature in {_CONNECTION_STRING}, or run `az login`; and see that this "
    "machine's clock is right."
)
_GRANT: Final = "Grant the credentials in use Storage Blob Data Reader on the container; of a signature, read and list."
_WHAT_TO_DO: Final = {
    "AuthenticationFailed": _RENEW,
    "InvalidAuthenticationInfo": _RENEW,
    "NoAuthenticationInformation": _RENEW,
    "AuthorizationFailure": f"{_RENEW} Else: {_GRANT} See that the account's firewall lets this machine in.",
    "AuthorizationPermissionMismatch": _GRANT,
    "AuthorizationProtocolMismatch": "Set options.endpoint_url of the source to https.",
    "AuthorizationSourceIPMismatch": "The shared access signature is for other addresses than this machine's.",
    "InsufficientAccountPermissions": _GRANT,
    "ContainerNotFound": "Correct the container in `location`, or options.endpoint_url of the source.",
    "BlobNotFound": "It was deleted after it was listed; the next run lists again.",
    "ConditionNotMet": "It was replaced or deleted after it was listed; the next run lists again.",
    "BlobArchived": "It lies in the archive tier: rehydrate it, or leave it out of `location`.",
}
_SAME_CAUSE: Final[dict[int | None, str]] = {
    None: "AuthenticationFailed",
    401: "AuthenticationFailed",
    403: "AuthorizationPermissionMismatch",
    404: "ContainerNotFound",
}


@contextmanager
def _explain_errors(uri: str, options: Mapping[str, Any]) -> Iterator[None]:
    """Say which blob, which cause and what to do; never the credentials."""
    try:
        yield
    except HttpResponseError as error:
        code = getattr(error, "error_code", None)
        code = str(getattr(code, "value", code) or error.status_code or type(error).__name__)
        mend = _WHAT_TO_DO.get(code) or _WHAT_TO_DO.get(_SAME_CAUSE.get(error.status_code, ""), _LATER)
        raise StorageError(f"{uri}: {code}: {_tell(error)}. {mend}") from error
    except ValueError as error:
        raise StorageError(f"{uri}: {_tell(error)}.") from error
    except AzureError as error:
        endpoint = options.get("endpoint_url") or "the account's endpoint"
        raise StorageError(
            f"{uri}: {type(error).__name__}: {_tell(error)}. "
            f"Check that {endpoint} is up and reachable from here, and options.endpoint_url."
        ) from error


def _tell(error: Exception) -> str:
    """The first line: the rest names the request, and what was signed."""
    return next(iter(str(error).splitlines()), "").rstrip(".")[:_SHOWN_CHARACTERS]
