"""Objects in S3, and in what speaks its protocol. Credentials are boto3's own affair: environment, profile, role.

Requests are sent again by botocore: exponential backoff with jitter, and fewer a second while a server says that it is
asked too often. What breaks inside a body is resumed here.
"""

import io
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC
from functools import lru_cache
from typing import Any, Final

import boto3
import botocore.exceptions
from botocore.config import Config
from tenacity import RetryCallState, Retrying, retry_if_exception_type, stop_after_attempt, wait_random_exponential

from ingest.stores.stored import S3_SCHEME, StorageError, StoredObject, choose_listed, split_uri

_ATTEMPTS: Final = 8
_BODY_ATTEMPTS: Final = 5
_BODY_PAUSE_SECONDS: Final = 0.2
_LONGEST_PAUSE_SECONDS: Final = 20
_CONNECTIONS: Final = 32


def list_objects(location: str, options: Mapping[str, Any]) -> list[StoredObject]:
    """The object of a key, else everything below it; globs as on disk."""
    return choose_listed(location, S3_SCHEME, lambda bucket, prefix: _list_keys(bucket, prefix, options))


def _list_keys(bucket: str, prefix: str, options: Mapping[str, Any]) -> Iterator[StoredObject]:
    with _explain_s3_errors(bucket, prefix, options):
        pages = _make_client(options).get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
        for page in pages:
            for entry in page.get("Contents", ()):
                key, size_bytes = entry["Key"], entry["Size"]
                if size_bytes == 0 and key.endswith(("/", "_$folder$")):
                    continue
                yield StoredObject(
                    uri=f"{S3_SCHEME}{bucket}/{key}",
                    size_bytes=size_bytes,
                    etag=entry["ETag"].strip('"'),
                    modified_at=entry["LastModified"].astimezone(UTC),
                )


def _make_client(options: Mapping[str, Any]) -> Any:
    settings = tuple(sorted((name, value) for name, value in os.environ.items() if name.startswith("AWS_")))
    return _cache_client(options.get("region"), options.get("endpoint_url"), options.get("profile"), settings)


@lru_cache(maxsize=32)
def _cache_client(region: str | None, endpoint_url: str | None, profile: str | None, _settings: object) -> Any:
    config = Config(
        retries={"mode": "adaptive", "total_max_attempts": int(os.environ.get("AWS_MAX_ATTEMPTS", _ATTEMPTS))},
        connect_timeout=10,
        read_timeout=60,
        max_pool_connections=_CONNECTIONS,
    )
    session = boto3.Session(region_name=region, profile_name=profile)
    return session.client("s3", endpoint_url=endpoint_url, config=config)


class S3Body(io.RawIOBase):
    """One version of an S3 object, read forward; a broken connection is opened again at the byte where it broke."""

    def __init__(self, stored: StoredObject, options: Mapping[str, Any]) -> None:
        super().__init__()
        self._stored = stored
        self._options = options
        self._bucket, self._key = split_uri(stored.uri, S3_SCHEME)
        self._offset = 0
        self._body: Any = self._open_body()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        with _explain_s3_errors(self._bucket, self._key, self._options):
            chunk = self._read_on(len(buffer))
        buffer[: len(chunk)] = chunk
        self._offset += len(chunk)
        return len(chunk)

    def _read_on(self, size_bytes: int) -> bytes:
        left_bytes = self._stored.size_bytes - self._offset
        if not left_bytes:
            return b""
        retrying = Retrying(
            retry=retry_if_exception_type(
                (botocore.exceptions.HTTPClientError, botocore.exceptions.IncompleteReadError)
            ),
            stop=stop_after_attempt(_BODY_ATTEMPTS),
            wait=wait_random_exponential(multiplier=_BODY_PAUSE_SECONDS, max=_LONGEST_PAUSE_SECONDS),
            before_sleep=self._drop_body,
            reraise=True,
        )
        return retrying(self._read_chunk, min(size_bytes, left_bytes))

    def _read_chunk(self, size_bytes: int) -> bytes:
        if self._body is None:
            self._body = self._open_body()
        if chunk := self._body.read(size_bytes):
            return chunk
        raise botocore.exceptions.IncompleteReadError(actual_bytes=self._offset, expected_bytes=self._stored.size_bytes)

    def _drop_body(self, _state: RetryCallState) -> None:
        """The next attempt opens the object again, where this one broke."""
        self._close_body()

    def close(self) -> None:
        if not self.closed:
            self._close_body()
        super().close()

    def _close_body(self) -> None:
        if self._body is not None:
            self._body.close()
            self._body = None

    def _open_body(self) -> Any:
        with _explain_s3_errors(self._bucket, self._key, self._options):
            # A range past the end of an empty object is an error of its own, so the first request has none.
            resume = {"Range": f"bytes={self._offset}-"} if self._offset else {}
            answer = _make_client(self._options).get_object(
                Bucket=self._bucket, Key=self._key, IfMatch=f'"{self._stored.etag}"', **resume
            )
            return answer["Body"]


def open_body(stored: StoredObject, options: Mapping[str, Any]) -> S3Body:
    """The version that was listed, or none."""
    return S3Body(stored, options)


_WHAT_TO_DO: Final = {
    "NoSuchBucket": "Correct the bucket in `location`, or the endpoint_url and region of the source.",
    "NoSuchKey": "It was deleted after it was listed; the next run lists again.",
    "PreconditionFailed": "It was replaced after it was listed; the next run reads the new version.",
    "AccessDenied": "Allow s3:ListBucket and s3:GetObject to the credentials in use, or name another profile.",
    "ExpiredToken": "Renew the credentials (for example `aws sso login`) and run again.",
    "InvalidAccessKeyId": "Correct the access key in the environment or in the profile.",
    "SignatureDoesNotMatch": "Correct the secret key in the environment or in the profile.",
    "PermanentRedirect": "Set options.region of the source to the bucket's region.",
    "AuthorizationHeaderMalformed": "Set options.region of the source to the bucket's region.",
}
_SAME_CAUSE: Final = {
    "403": "AccessDenied",
    "404": "NoSuchKey",
    "412": "PreconditionFailed",
    "301": "PermanentRedirect",
}


@contextmanager
def _explain_s3_errors(bucket: str, key: str, options: Mapping[str, Any]) -> Iterator[None]:
    """Say which object, which cause and what to do; never the credentials."""
    try:
        yield
    except botocore.exceptions.ClientError as error:
        code = str(error.response.get("Error", {}).get("Code"))
        cause = f"{code}: {error.response.get('Error', {}).get('Message', 'the server said no more')}"
        mend = _WHAT_TO_DO.get(_SAME_CAUSE.get(code, code), "Run again later; what was not read is read then.")
        raise StorageError(f"{S3_SCHEME}{bucket}/{key}: {cause}. {mend}") from error
    except (botocore.exceptions.NoCredentialsError, botocore.exceptions.PartialCredentialsError) as error:
        raise StorageError(
            f"{S3_SCHEME}{bucket}/{key}: {error}. Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, "
            "or name a profile of ~/.aws in options.profile of the source."
        ) from error
    except botocore.exceptions.ProfileNotFound as error:
        raise StorageError(f"{S3_SCHEME}{bucket}/{key}: {error}. Correct options.profile of the source.") from error
    except (botocore.exceptions.BotoCoreError, ValueError) as error:
        endpoint = options.get("endpoint_url") or "the default endpoint"
        raise StorageError(
            f"{S3_SCHEME}{bucket}/{key}: {type(error).__name__}: {error}. "
            f"Check that {endpoint} is up and reachable from here, and options.endpoint_url and region of the source."
        ) from error
