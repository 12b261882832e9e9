"""Objects in Google Cloud Storage. Credentials are Google's own affair: environment, service account, the machine's.

Requests are sent again by the client: exponential backoff with jitter. An object is read in ranges of the generation
that was listed, so that what breaks is asked again from where it broke.
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC
from functools import lru_cache
from typing import Any, Final

import google.auth.exceptions
import requests.exceptions
from google.api_core import exceptions
from google.api_core.client_options import ClientOptions
from google.auth.credentials import AnonymousCredentials
from google.cloud import storage
from google.cloud.storage.retry import DEFAULT_RETRY

from ingest.stores.ranged import RangedBody
from ingest.stores.stored import GCS_SCHEME, StorageError, StoredObject, choose_listed, split_uri

_EMULATOR: Final = "STORAGE_EMULATOR_HOST"
_RETRY: Final = DEFAULT_RETRY.with_timeout(120)
_SECONDS: Final = 60
_RANGE_BYTES: Final = 8 << 20
_SHOWN_CHARACTERS: Final = 300


def list_objects(location: str, options: Mapping[str, Any]) -> list[StoredObject]:
    """The object of a key, else everything below it; globs as on disk."""
    return choose_listed(location, GCS_SCHEME, lambda bucket, prefix: _list_keys(bucket, prefix, options))


def _list_keys(bucket: str, prefix: str, options: Mapping[str, Any]) -> Iterator[StoredObject]:
    with _explain_errors(f"{GCS_SCHEME}{bucket}/{prefix}", options):
        for blob in _make_client(options).list_blobs(bucket, prefix=prefix, timeout=_SECONDS, retry=_RETRY):
            if blob.size == 0 and blob.name.endswith("/"):
                continue
            yield StoredObject(
                uri=f"{GCS_SCHEME}{bucket}/{blob.name}",
                size_bytes=blob.size,
                etag=str(blob.generation),
                modified_at=blob.updated.astimezone(UTC),
            )


def _make_client(options: Mapping[str, Any]) -> storage.Client:
    names = ("GOOGLE_APPLICATION_CREDENTIALS", "GOOGLE_CLOUD_PROJECT", _EMULATOR)
    return _cache_client(options.get("endpoint_url"), tuple(os.environ.get(name) for name in names))


@lru_cache(maxsize=32)
def _cache_client(endpoint_url: str | None, settings: tuple[str | None, ...]) -> storage.Client:
    return storage.Client(
        credentials=AnonymousCredentials() if settings[-1] else None,
        # Reading needs no project, and the client will not start without the name of one.
        project=settings[1] or "none",
        client_options=ClientOptions(api_endpoint=endpoint_url) if endpoint_url else None,
    )


def open_body(stored: StoredObject, options: Mapping[str, Any]) -> RangedBody:
    """The generation that was listed, or none."""
    bucket, key = split_uri(stored.uri, GCS_SCHEME)

    def read_range(start: int, end: int) -> bytes:
        with _explain_errors(stored.uri, options):
            blob = _make_client(options).bucket(bucket).blob(key, generation=int(stored.etag))
            # Raw: what is stored gzipped must come as it was listed.
            return blob.download_as_bytes(start=start, end=end - 1, raw_download=True, timeout=_SECONDS, retry=_RETRY)

    return RangedBody(stored, read_range, _RANGE_BYTES)


_LATER: Final = "Run again later; what was not read is read then."
_RENEW: Final = (
    "Set GOOGLE_APPLICATION_CREDENTIALS to a service account's file, run `gcloud auth application-default login`, or "
    "renew what is there."
)
_WHAT_TO_DO: Final[tuple[tuple[type[Exception], str], ...]] = (
    (exceptions.Unauthorized, _RENEW),
    (exceptions.Forbidden, "Grant the credentials in use roles/storage.objectViewer on the bucket."),
    (
        exceptions.NotFound,
        "Correct the bucket in `location`; of an object, it was deleted or replaced after it was listed, and the next "
        "run lists again.",
    ),
)


@contextmanager
def _explain_errors(uri: str, options: Mapping[str, Any]) -> Iterator[None]:
    """Say which object, which cause and what to do; never the credentials."""
    try:
        yield
    except exceptions.GoogleAPICallError as error:
        mend = next((mend for kind, mend in _WHAT_TO_DO if isinstance(error, kind)), _LATER)
        raise StorageError(f"{uri}: {_tell(error)}. {mend}") from error
    except google.auth.exceptions.GoogleAuthError as error:
        raise StorageError(f"{uri}: {_tell(error)}. {_RENEW}") from error
    except (exceptions.GoogleAPIError, requests.exceptions.RequestException, ConnectionError, ValueError) as error:
        endpoint = options.get("endpoint_url") or "the default endpoint"
        raise StorageError(
            f"{uri}: {_tell(error)}. Check that {endpoint} is up and reachable from here, and options.endpoint_url."
        ) from error


def _tell(error: object) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())[:_SHOWN_CHARACTERS]}"
