"""What Google's gRPC clients have in common: where they are reached, what is tried again, and what an error says."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

import google.auth.exceptions
import grpc
from google.api_core import exceptions
from google.api_core.client_options import ClientOptions
from google.api_core.retry import Retry, if_exception_type

from ingest.http_client import ServerError

RETRY: Final = Retry(
    predicate=if_exception_type(
        exceptions.ServiceUnavailable, exceptions.ResourceExhausted, exceptions.InternalServerError
    ),
    initial=0.5,
    maximum=30,
    multiplier=2,
    timeout=120,
)
_LOCAL: Final = ("localhost", "127.0.0.1", "::1")
_LATER: Final = "Check that it is reachable from here; the next run goes on where this one stopped."
_RENEW: Final = (
    "Set GOOGLE_APPLICATION_CREDENTIALS to a service account's file, run `gcloud auth application-default login`, or "
    "renew what is there."
)

Client = TypeVar("Client")


def open_client(client: Callable[..., Client], transport: Callable[..., Any], endpoint: str | None) -> Client:
    """A client of the service, with credentials as Google's own tools find them; without any over plain HTTP, which
    only this machine is asked by. Raises `ServerError`."""
    parts = urlsplit(endpoint or "")
    if parts.scheme != "http":
        return client(client_options=ClientOptions(api_endpoint=parts.netloc) if endpoint else None)
    if parts.hostname not in _LOCAL:
        raise ServerError(f"{endpoint}: expected https, but for a server on this machine")
    return client(transport=transport(channel=grpc.insecure_channel(parts.netloc)))


@contextmanager
def explain_errors(location: str, correct: str) -> Iterator[None]:
    """Say what failed and what to do, of what is not there `correct`; never the credentials."""
    try:
        yield
    except exceptions.RetryError as error:
        raise ServerError(f"{location}: {_tell(error.cause or error)}. {_LATER}") from error
    except (exceptions.Unauthenticated, exceptions.PermissionDenied, google.auth.exceptions.GoogleAuthError) as error:
        raise ServerError(f"{location}: {_tell(error)}. {_RENEW}") from error
    except (exceptions.NotFound, exceptions.InvalidArgument) as error:
        raise ServerError(f"{location}: {_tell(error)}. {correct}") from error
    except (exceptions.GoogleAPICallError, grpc.RpcError) as error:
        raise ServerError(f"{location}: {_tell(error)}. {_LATER}") from error


def _tell(error: object) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
