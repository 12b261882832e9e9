"""What may pass is tried again, with exponential backoff and jitter, no sooner than the other side wants."""

import time
from collections.abc import Callable
from email.utils import parsedate_to_datetime
from typing import Final, TypeVar

import tenacity

FIRST_PAUSE_SECONDS = 0.5
ATTEMPTS: Final = 6
LONGEST_ASKED_PAUSE_SECONDS: Final = 120
_LONGEST_PAUSE_SECONDS: Final = 30
_T = TypeVar("_T")


class PassingError(Exception):
    """Worth another try. `pause_seconds` is what the server asks for."""

    def __init__(self, message: str, pause_seconds: float = 0.0) -> None:
        super().__init__(message)
        self.pause_seconds = pause_seconds


def repeat(call: Callable[[], _T]) -> _T:
    """What `call` returns once it does not raise `PassingError`; the last of these when it always did."""
    retrying = tenacity.Retrying(
        stop=tenacity.stop_after_attempt(ATTEMPTS),
        wait=_choose_pause,
        retry=tenacity.retry_if_exception_type(PassingError),
        reraise=True,
    )
    return retrying(call)


def _choose_pause(state: tenacity.RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome else None
    asked = error.pause_seconds if isinstance(error, PassingError) else 0.0
    backoff = tenacity.wait_exponential_jitter(
        multiplier=FIRST_PAUSE_SECONDS, max=_LONGEST_PAUSE_SECONDS, jitter=FIRST_PAUSE_SECONDS
    )
    return max(asked, backoff(state))


def read_retry_after(text: str | None) -> float:
    """Seconds of a `Retry-After`, which is a number of them or a date."""
    if not text:
        return 0.0
    if text.strip().isdigit():
        return float(text)
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - time.time())
    except ValueError:
        return 0.0
