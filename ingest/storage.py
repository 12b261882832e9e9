"""The one storage module: lists and opens the objects of a source, on local disk or in S3.

A location is a path, a glob (`**` crosses folders), a folder (everything in it), or `s3://bucket/key`, which means the
same as a path: the object of that key, else everything below `key/`, and globs alike. Hidden files (a leading dot) and
folder markers are never listed. Credentials are boto3's own affair: environment, profile, instance role.
"""

import fnmatch
import hashlib
import io
import os
import re
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, Final, cast

import boto3
import botocore.exceptions
from botocore.config import Config

S3_SCHEME: Final = "s3://"
_GLOB_CHARACTERS: Final = re.compile(r"[*?\[]")
_CHUNK_BYTES: Final = 1 << 20
_BODY_ATTEMPTS: Final = 5
_BODY_PAUSE_SECONDS: Final = 0.2


class StorageError(Exception):
    """An object store or a disk did not give what was asked of it."""


class SourceLocationError(StorageError):
    """A location names a file or folder that does not exist, or cannot be a location at all."""


@dataclass(frozen=True)
class StoredObject:
    """One object as listed. `etag` changes whenever the content does; `modified_at` is aware, UTC.

    `uri` names it for good: a file below the base folder by its path from there, so that a home can be moved without
    its files becoming new ones; other files by their absolute path; `path` is where a file is now.
    """

    uri: str
    size_bytes: int
    etag: str
    modified_at: datetime
    path: Path | None = None

    @property
    def is_local(self) -> bool:
        return not self.uri.startswith(S3_SCHEME)


def list_objects(location: str, options: Mapping[str, Any], base_dir: Path) -> list[StoredObject]:
    """Every object at `location`, by uri. Relative paths start at `base_dir`; `~` is the user's home folder.

    A glob, an existing folder or an S3 prefix may match nothing. Raises `SourceLocationError` when a file or local
    folder named without a glob is missing, `StorageError` when it cannot be listed.
    """
    listed = _list_s3(location, options) if location.startswith(S3_SCHEME) else _list_local(location, base_dir)
    return sorted(listed, key=lambda item: item.uri)


def open_stream(stored: StoredObject, options: Mapping[str, Any]) -> BinaryIO:
    """The object's bytes as a buffered stream, read as they are needed; close it after use.

    From S3, it is the version that was listed or none, and a broken connection is resumed where it broke.
    Raises `StorageError`, also while reading.
    """
    if stored.is_local:
        try:
            return (stored.path or Path(stored.uri)).open("rb")
        except OSError as error:
            raise _describe_os_error(stored.uri, error) from error
    return cast(BinaryIO, io.BufferedReader(_S3Body(stored, options), buffer_size=_CHUNK_BYTES))


def fetch(stored: StoredObject, options: Mapping[str, Any], scratch_dir: Path) -> Path:
    """A local file with the object's bytes: itself, or a copy in `scratch_dir` that appears whole or not at all.

    The copy keeps the end of the object's name, so that suffixes still tell; the caller deletes it.
    """
    if stored.is_local:
        return stored.path or Path(stored.uri)
    digest = hashlib.sha256(f"{stored.uri}\n{stored.etag}".encode()).hexdigest()[:24]
    name = re.sub(r"[^\w.-]", "_", PurePosixPath(stored.uri).name, flags=re.ASCII)[-100:]
    target = scratch_dir / f"{digest}-{name}"
    partial = target.with_name(f"{target.name}.{os.getpid()}.partial")
    try:
        scratch_dir.mkdir(parents=True, exist_ok=True)
        with open_stream(stored, options) as source, partial.open("wb") as sink:
            while chunk := source.read(_CHUNK_BYTES):
                sink.write(chunk)
        partial.replace(target)
    except OSError as error:
        raise StorageError(
            f"{stored.uri}: cannot be copied to {scratch_dir}: {error.strerror}. "
            "Free some space there, or mend its rights."
        ) from error
    finally:
        with suppress(OSError):
            partial.unlink()
    return target


# --- local files -----------------------------------------------------------------------------------------------------


def _list_local(location: str, base_dir: Path) -> list[StoredObject]:
    try:
        given = Path(location).expanduser()
        path = Path(os.path.normpath(base_dir.absolute() / given))
        if path.is_file():
            return _describe_files([path], base_dir)
        if path.is_dir():
            return _describe_files(_match_paths(path, ["**"]), base_dir)
        if _GLOB_CHARACTERS.search(location):
            # Only what the location says is a pattern: the home's own path may have brackets in it.
            root = Path("/") if given.is_absolute() else base_dir.absolute()
            return _describe_files(_match_paths(root, [part for part in given.parts if part != "/"]), base_dir)
    except (OSError, RuntimeError) as error:  # the second: ~user without such a user
        raise SourceLocationError(
            f"{location}: cannot be looked up: {error}. Correct `location` in sources.yml, or the rights of the folder."
        ) from error
    raise SourceLocationError(
        f"{location}: no such file or folder (looked at {path}). "
        "Correct `location` in sources.yml, or put the file there; relative paths start at the home."
    )


def _match_paths(folder: Path, parts: list[str], above: tuple[Path, ...] = ()) -> Iterator[Path]:
    """Files below `folder` whose path matches the pattern's parts."""
    part, rest = parts[0], parts[1:]
    if part == "**":
        if rest:
            yield from _match_paths(folder, rest)
        real = folder.resolve()
        if real in above:  # a link to a folder that it stands in
            return
        for child in _list_folder(folder):
            if child.is_dir():
                yield from _match_paths(child, parts, (*above, real))
            elif not rest and child.is_file():
                yield child
        return
    if _GLOB_CHARACTERS.search(part):
        matches = re.compile(_translate_glob(part)).fullmatch
        children = [child for child in _list_folder(folder) if matches(child.name)]
    else:
        children = [folder / part]
    for child in children:
        if rest and child.is_dir():
            yield from _match_paths(child, rest)
        elif not rest and child.is_file():
            yield child


def _list_folder(folder: Path) -> list[Path]:
    """What is in a folder but for hidden names. A folder that cannot be read is an error: its files would be missed."""
    try:
        return [child for child in folder.iterdir() if not child.name.startswith(".")]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise _describe_os_error(str(folder), error) from error


def _describe_files(paths: Iterable[Path], base_dir: Path) -> list[StoredObject]:
    """One object per file: a file with two names, by links, is the same rows twice."""
    base = Path(os.path.normpath(base_dir.absolute()))
    named: dict[tuple[int, int], StoredObject] = {}
    for path in sorted(set(paths)):
        file = Path(os.path.normpath(path))
        uri = str(file.relative_to(base) if file.is_relative_to(base) else file)
        try:
            uri.encode()
            status = path.stat()
        except UnicodeEncodeError as error:
            raise StorageError(f"{uri!r}: the file name is not UTF-8. Rename the file.") from error
        except FileNotFoundError:  # removed while we listed: it is not there to be landed
            continue
        except OSError as error:
            raise _describe_os_error(uri, error) from error
        stored = StoredObject(
            uri=uri,
            size_bytes=status.st_size,
            etag=f"{status.st_size}-{status.st_mtime_ns}",
            modified_at=datetime.fromtimestamp(status.st_mtime, UTC),
            path=file,
        )
        other = named.setdefault((status.st_dev, status.st_ino), stored)
        if other is not stored and path.resolve() == file:  # its own name before a link's
            named[status.st_dev, status.st_ino] = stored
    return list(named.values())


def _describe_os_error(uri: str, error: OSError) -> StorageError:
    return StorageError(
        f"{uri}: cannot be read: {error.strerror}. Check that it exists and that this user may read it."
    )


# --- S3 --------------------------------------------------------------------------------------------------------------


def _split_s3(uri: str) -> tuple[str, str]:
    bucket, _, key = uri.removeprefix(S3_SCHEME).partition("/")
    if not bucket or _GLOB_CHARACTERS.search(bucket):
        raise SourceLocationError(f"{uri}: no bucket name in it. Write s3://bucket/prefix; a bucket is never a glob.")
    return bucket, key


def _list_s3(location: str, options: Mapping[str, Any]) -> list[StoredObject]:
    bucket, key = _split_s3(location)
    glob_at = _GLOB_CHARACTERS.search(key)
    if glob_at:
        matches = re.compile(_translate_glob(key)).fullmatch
        found = _list_keys(bucket, key[: glob_at.start()], options)
        return [item for item in found if item.uri == location or matches(_split_s3(item.uri)[1])]
    folder = key if key.endswith("/") or not key else f"{key}/"
    # One listing answers both questions, is it an object and is it a folder: keys of neither are left out.
    found = [
        item
        for item in _list_keys(bucket, key, options)
        if item.uri == location
        or (item.uri.startswith(f"{S3_SCHEME}{bucket}/{folder}") and not _is_hidden(item, folder))
    ]
    exact = [item for item in found if item.uri == location]
    if not found and PurePosixPath(key).suffix and not key.endswith("/"):
        raise SourceLocationError(
            f"{location}: no such object in bucket {bucket}. "
            "Correct `location` in sources.yml, or upload it; end the location with / where a folder is meant."
        )
    return exact or found


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


def _is_hidden(item: StoredObject, folder: str) -> bool:
    below = _split_s3(item.uri)[1].removeprefix(folder)
    return any(part.startswith(".") for part in below.split("/"))


def _translate_glob(pattern: str) -> str:
    """A regular expression that matches keys as the shell matches paths: wildcards stop at / and skip hidden names."""
    parts = pattern.split("/")
    translated = ""
    for position, part in enumerate(parts):
        is_last = position == len(parts) - 1
        if part == "**":
            translated += r"[^/.][^/]*(?:/[^/.][^/]*)*" if is_last else r"(?:[^/.][^/]*/)*"
            continue
        text = "".join(_translate_token(token) for token in re.findall(r"\[!?\]?[^\]]*\]|.", part, flags=re.DOTALL))
        translated += (r"(?!\.)" if part[:1] in "*?[" and part else "") + text + ("" if is_last else "/")
    return f"(?s:{translated})"


def _translate_token(token: str) -> str:
    if token == "*":
        return "[^/]*"
    if token == "?":
        return "[^/]"
    if len(token) > 1:
        character_class = fnmatch.translate(token).removeprefix("(?s:").removesuffix(r")\Z")
        return f"(?!/){character_class}"
    return re.escape(token)


def _make_client(options: Mapping[str, Any]) -> Any:
    settings = tuple(sorted((name, value) for name, value in os.environ.items() if name.startswith("AWS_")))
    return _cache_client(options.get("region"), options.get("endpoint_url"), options.get("profile"), settings)


@lru_cache(maxsize=32)
def _cache_client(region: str | None, endpoint_url: str | None, profile: str | None, _settings: object) -> Any:
    # Only the count of attempts is left to AWS_MAX_ATTEMPTS; boto3's default, three in standard mode, suits a batch.
    config = Config(retries={"mode": "standard"}, connect_timeout=10, read_timeout=60)
    session = boto3.Session(region_name=region, profile_name=profile)
    return session.client("s3", endpoint_url=endpoint_url, config=config)


class _S3Body(io.RawIOBase):
    """One version of an S3 object, read forward; a broken connection is opened again at the byte where it broke."""

    def __init__(self, stored: StoredObject, options: Mapping[str, Any]) -> None:
        super().__init__()
        self._stored = stored
        self._options = options
        self._bucket, self._key = _split_s3(stored.uri)
        self._offset = 0
        self._body = self._open_body()

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
        attempt = 1
        while left_bytes:
            try:
                if chunk := self._body.read(min(size_bytes, left_bytes)):
                    return chunk
                raise botocore.exceptions.IncompleteReadError(
                    actual_bytes=self._offset, expected_bytes=self._stored.size_bytes
                )
            except (botocore.exceptions.HTTPClientError, botocore.exceptions.IncompleteReadError):
                if attempt == _BODY_ATTEMPTS:
                    raise
                time.sleep(_BODY_PAUSE_SECONDS * 2 ** (attempt - 1))
                attempt += 1
                self._body.close()
                self._body = self._open_body()
        return b""

    def close(self) -> None:
        if not self.closed:
            self._body.close()
        super().close()

    def _open_body(self) -> Any:
        with _explain_s3_errors(self._bucket, self._key, self._options):
            # A range past the end of an empty object is an error of its own, so the first request has none.
            resume = {"Range": f"bytes={self._offset}-"} if self._offset else {}
            answer = _make_client(self._options).get_object(
                Bucket=self._bucket, Key=self._key, IfMatch=f'"{self._stored.etag}"', **resume
            )
            return answer["Body"]


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
