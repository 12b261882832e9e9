"""The one HTTP client of all sources with an HTTP API: who asks, TLS, repeats, rate limits, bounded answers.

What may pass (a cut connection, 429, 5xx, a time-out) is asked again with exponential backoff and jitter, no sooner
than the server wants; what will not is told with its mend. Credentials are read anew for each question, so that a token
that is renewed in its file keeps working, and stand in no message.
"""

import base64
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any, BinaryIO, Final
from urllib.parse import urlencode, urlsplit

import urllib3
import urllib3.exceptions

from ingest.retrying import ATTEMPTS, LONGEST_ASKED_PAUSE_SECONDS, PassingError, read_retry_after, repeat
from ingest.storage import StorageError

_BEARER_HEADER: Final = "Authorization"
_CONNECT_SECONDS: Final = 10
_READ_SECONDS: Final = 150  # longer than the two minutes after which Prometheus ends a question
_CHUNK_BYTES: Final = 1 << 20
_SMALL_ANSWER_BYTES: Final = 32 << 20
_ERROR_BYTES: Final = 64 << 10
_SHOWN_CHARACTERS: Final = 300
_PASSING: Final = frozenset({408, 425, 429, 500, 502, 503, 504})
_CUT: Final = (
    urllib3.exceptions.ProtocolError,
    urllib3.exceptions.TimeoutError,
    urllib3.exceptions.DecodeError,
    urllib3.exceptions.NewConnectionError,
)
Parameters = Sequence[tuple[str, str]]


class ServerError(StorageError):
    """A server did not give what was asked of it; the message says what to do."""


class QuestionRefusedError(ServerError):
    """The server understood the question and will not answer it: another question may do."""

    def __init__(self, message: str, status: int, body: str) -> None:
        super().__init__(message)
        self.status = status
        self.body = body


class AnswerTooLongError(ServerError):
    """The answer has more bytes than were allowed: ask for less at a time."""


@dataclass(frozen=True)
class Answer:
    """A whole answer in memory, and the server's time when it gave it."""

    body: bytes
    answered_at: datetime


class HttpClient:
    """Questions to one server. May be used by several threads.

    `lasting_words` of an answer mean that the same question will fail again, whatever its status. A token is sent as
    `token_header`, a bearer's by default; `headers` are sent with every question.
    """

    def __init__(
        self,
        location: str,
        options: Mapping[str, Any],
        base_dir: Path,
        lasting_words: Sequence[str] = (),
        *,
        token_header: str = _BEARER_HEADER,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self.location = location.rstrip("/")
        self._lasting_words = lasting_words
        self._token_header = token_header
        self._headers = headers or {}
        self._options = options
        self._base_dir = base_dir
        read_seconds = float(options.get("timeout_seconds", _READ_SECONDS))
        self._pool = urllib3.PoolManager(
            num_pools=1,
            maxsize=8,
            block=True,
            retries=False,
            timeout=urllib3.Timeout(connect=min(_CONNECT_SECONDS, read_seconds), read=read_seconds),
            cert_reqs="CERT_REQUIRED",
            ca_certs=str(base_dir / Path(options["ca_file"]).expanduser()) if "ca_file" in options else None,
        )

    def close(self) -> None:
        self._pool.clear()

    def ask(self, path: str, parameters: Parameters) -> Answer:
        """A small answer, whole. Raises `ServerError`."""
        chunks: list[bytes] = []
        answered_at = self._repeat(path, parameters, _SMALL_ANSWER_BYTES, chunks.clear, chunks.append)
        return Answer(b"".join(chunks), answered_at)

    def save(self, path: str, parameters: Parameters, target: BinaryIO, most_bytes: int) -> int:
        """Append an answer to `target` as one line; what a broken try wrote is cut off again. Returns its bytes.

        Raises `AnswerTooLongError` when it is longer than `most_bytes`, and `ServerError`; `target` is then as before.
        """
        start = target.tell()

        def begin() -> None:
            target.seek(start)
            target.truncate()

        try:
            # A JSON text has line ends between its tokens alone, never inside a string.
            self._repeat(path, parameters, most_bytes, begin, lambda chunk: target.write(chunk.replace(b"\n", b" ")))
        except ServerError:
            begin()
            raise
        return target.tell() - start

    def _repeat(self, path: str, parameters: Parameters, most_bytes: int, begin: Any, take: Any) -> datetime:
        try:
            return repeat(lambda: self._try_once(path, parameters, most_bytes, begin, take))
        except PassingError as error:
            raise ServerError(
                f"{self.location}: {error}; asked {ATTEMPTS} times. Check that it is up and reachable from here; "
                "the next run goes on where this one stopped."
            ) from error

    def _try_once(self, path: str, parameters: Parameters, most_bytes: int, begin: Any, take: Any) -> datetime:
        begin()
        headers = self._make_headers()
        url = f"{self.location}{path}?{urlencode(parameters)}"
        with self._explain_errors():
            response = self._pool.request("GET", url, headers=headers, preload_content=False, redirect=False)
            try:
                if response.status != 200:
                    self._refuse(response, headers)
                size_bytes = 0
                last = b""
                for chunk in response.stream(_CHUNK_BYTES, decode_content=True):
                    size_bytes += len(chunk)
                    if size_bytes > most_bytes:
                        raise AnswerTooLongError(f"{self.location}: an answer of more than {most_bytes:,} bytes")
                    last = chunk.rstrip() or last
                    take(chunk)
                # Without a length and without chunks, an end cut off looks like the end.
                if not last.endswith((b"}", b"]")):
                    raise PassingError("an answer that is no JSON, or was cut short" if last else "an empty answer")
            except BaseException:
                response.close()
                raise
            response.release_conn()
            return read_date(response.headers.get("Date"))

    def _refuse(self, response: urllib3.BaseHTTPResponse, headers: Mapping[str, str]) -> None:
        """Raise what a status other than 200 means."""
        status = response.status
        body = response.read(_ERROR_BYTES, decode_content=True).decode(errors="replace")
        said = _shorten(body, self._find_secret(headers))
        if status in (401, 403):
            if headers != self._make_headers():
                raise PassingError(f"status {status} with a credential that was renewed meanwhile")
            who = "no credential" if not self._find_secret(headers) else f"the credential of {self._name_credential()}"
            raise ServerError(
                f"{self.location}: status {status}: {who} is not enough or has expired{said}. "
                "Set token_env or token_file, or user with password_env or password_file, in the source's options."
            )
        if status in _PASSING and not any(words in body for words in self._lasting_words):
            pause_seconds = read_retry_after(response.headers.get("Retry-After"))
            if pause_seconds > LONGEST_ASKED_PAUSE_SECONDS:
                raise ServerError(
                    f"{self.location}: status {status}: it wants to be left alone for {pause_seconds:.0f} s{said}. "
                    "The next run goes on where this one stopped."
                )
            raise PassingError(f"status {status}{said}", pause_seconds)
        if 300 <= status < 400:
            host = urlsplit(response.headers.get("Location", "")).netloc or "another path"
            raise ServerError(f"{self.location}: it sends on to {host}. Write the final address into `location`.")
        if status == 404:
            raise ServerError(f"{self.location}: no such address there{said}. Correct `location` of the source.")
        raise QuestionRefusedError(f"{self.location}: status {status}{said}", status, body)

    @contextmanager
    def _explain_errors(self) -> Iterator[None]:
        try:
            yield
        except urllib3.exceptions.SSLError as error:
            raise ServerError(
                f"{self.location}: its certificate is not trusted or not its own: {error}. "
                "Name the CA's certificate in options.ca_file of the source."
            ) from error
        except _CUT as error:
            raise PassingError(f"{type(error).__name__}: {error}") from error
        except (urllib3.exceptions.HTTPError, ValueError) as error:
            raise ServerError(f"{self.location}: {type(error).__name__}: {error}. Correct `location`.") from error

    def _make_headers(self) -> dict[str, str]:
        headers = {"Accept": "application/json", "Accept-Encoding": "gzip", "User-Agent": "wattledger", **self._headers}
        if "tenant" in self._options:
            headers["X-Scope-OrgID"] = str(self._options["tenant"])
        secret = read_secret(self._options, self._base_dir)
        if secret is not None and "user" in self._options:
            pair = f"{self._options['user']}:{secret}".encode()
            headers[_BEARER_HEADER] = f"Basic {base64.b64encode(pair).decode()}"
        elif secret is not None:
            headers[self._token_header] = f"Bearer {secret}" if self._token_header == _BEARER_HEADER else secret
        return headers

    def _find_secret(self, headers: Mapping[str, str]) -> str:
        """The credential in headers that were sent, without its scheme; empty when they have none."""
        return (headers.get(self._token_header) or headers.get(_BEARER_HEADER, "")).rpartition(" ")[2]

    def _name_credential(self) -> str:
        return next(
            name for name in ("token_env", "token_file", "password_env", "password_file") if name in self._options
        )


def read_secret(options: Mapping[str, Any], base_dir: Path) -> str | None:
    """The token or password that the options name; None when they name none. Raises `ServerError`."""
    for name in ("token_env", "password_env"):
        if name in options:
            secret = os.environ.get(options[name])
            if not secret:
                raise ServerError(f"environment variable {options[name]}, named by options.{name}, is not set: set it")
            return _check_secret(secret, name)
    for name in ("token_file", "password_file"):
        if name in options:
            path = base_dir / Path(options[name]).expanduser()
            try:
                return _check_secret(path.read_text(encoding="utf-8"), name)
            except (OSError, UnicodeDecodeError) as error:
                cause = error.strerror if isinstance(error, OSError) else "not UTF-8"
                raise ServerError(f"{path}, named by options.{name}, cannot be read: {cause}: mend the file") from error
    return None


def _check_secret(text: str, option: str) -> str:
    secret = text.strip()
    if not secret or not secret.isprintable():
        raise ServerError(f"what options.{option} names is empty or has more than one line: mend it")
    return secret


def read_date(text: str | None) -> datetime:
    """A `Date` header, aware UTC; our own time when there is none."""
    try:
        found = parsedate_to_datetime(text or "")
    except ValueError:
        return datetime.now(UTC)
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)


def _shorten(body: str, secret: str) -> str:
    """What the server said, on one line; without our credential, should it repeat it."""
    text = " ".join(body.split())
    if secret:
        text = text.replace(secret, "(credential)")
    text = "".join(character for character in text if character.isprintable())[:_SHOWN_CHARACTERS]
    return f" ({text})" if text else ""
