"""Options that every source with a server has: how to reach it, who asks, and from which day on.

Credentials are never options: an option names the environment variable or the file that holds them.
"""

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from ingest.source import OptionProblem
from ingest.wording import list_names

CONNECTION_OPTIONS: Final = (
    "token_env",
    "token_file",
    "user",
    "password_env",
    "password_file",
    "ca_file",
    "tenant",
    "timeout_seconds",
)
"""How to reach a server, and who asks."""

SPAN_OPTIONS: Final = ("since", "until", "re_read_hours")
"""Which windows to ask for."""

SERVER_OPTIONS: Final = (*CONNECTION_OPTIONS, *SPAN_OPTIONS)
"""None of these changes what a window's answer says."""

_VARIABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_PRINTABLE: Final = re.compile(r"[^\x00-\x1f\x7f]+")
_SECRET_SOURCES: Final = ("token_env", "token_file", "password_env", "password_file")
_FIRST_YEAR: Final = 2000


def check_server_options(options: Mapping[str, Any], *, is_http: bool) -> Iterator[OptionProblem]:
    """What is wrong with the options that every server has. A database may know a user's password from elsewhere."""
    for name, (is_good, allowed) in _RULES.items():
        value = options.get(name)
        if name in options and not is_good(value):
            # A secret put where its name belongs must not be shown.
            yield OptionProblem(name, "another text" if name in _SECRET_SOURCES else repr(value), allowed)
    if "since" not in options:
        yield OptionProblem("since", "nothing", "the first day to read, such as 2026-10-01; it is required")
    if sum(name in options for name in _SECRET_SOURCES) > 1:
        yield OptionProblem(
            next(name for name in _SECRET_SOURCES[::-1] if name in options),
            "a second credential",
            f"one of {', '.join(_SECRET_SOURCES)}",
        )
    has_password = "password_env" in options or "password_file" in options
    if (has_password and "user" not in options) or (is_http and "user" in options and not has_password):
        yield OptionProblem("user", "one without the other", "user with password_env or password_file")


def check_server_names(options: Mapping[str, Any], own: Collection[str]) -> Iterator[OptionProblem]:
    """Options that neither every server nor the kind reads."""
    yield from check_names(options, (*SERVER_OPTIONS, *own))


def check_names(options: Mapping[str, Any], known: Collection[str]) -> Iterator[OptionProblem]:
    """Options that nobody reads."""
    for name in options:
        if name not in known:
            yield OptionProblem(name, "an unknown option", list_names(name, known))


def check_google_names(options: Mapping[str, Any]) -> Iterator[OptionProblem]:
    """Options that a service of Google's, asked by the day, does not read: credentials are Google's own affair."""
    yield from check_server_names(options, ("endpoint_url",))
    for name in (name for name in SERVER_OPTIONS if name in options):
        if name not in (*SPAN_OPTIONS, "timeout_seconds"):
            yield OptionProblem(name, "an option", "none: credentials are found as Google's own tools find them")


def read_span(options: Mapping[str, Any], now: datetime) -> tuple[datetime, datetime]:
    """(first instant, end) of what is wanted, aware UTC; never later than `now`."""
    start = datetime.combine(_read_day(options["since"]), datetime.min.time(), UTC)
    if "until" not in options:
        return start, now
    return start, min(now, datetime.combine(_read_day(options["until"]), datetime.min.time(), UTC))


def read_re_read(options: Mapping[str, Any], usual: timedelta) -> timedelta:
    """For how long after its end a window is asked again."""
    hours = options.get("re_read_hours")
    return usual if hours is None else timedelta(hours=float(hours))


def _read_day(value: Any) -> date:
    day = date.fromisoformat(str(value))
    if day.year < _FIRST_YEAR:
        raise ValueError(f"before {_FIRST_YEAR}")
    return day


def _is_day(value: Any) -> bool:
    try:
        _read_day(value)
    except ValueError:
        return False
    return isinstance(value, str | date)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float | Decimal) and not isinstance(value, bool)


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and _PRINTABLE.fullmatch(value) is not None


def _is_variable(value: Any) -> bool:
    return isinstance(value, str) and _VARIABLE.fullmatch(value) is not None


_RULES: Final[dict[str, tuple[Callable[[Any], bool], str]]] = {
    "token_env": (_is_variable, "the name of an environment variable, never the token"),
    "token_file": (_is_text, "the path of a file that holds the token, never the token"),
    "user": (lambda value: _is_text(value) and ":" not in value, "a user name, without a colon"),
    "password_env": (_is_variable, "the name of an environment variable, never the password"),
    "password_file": (_is_text, "the path of a file that holds the password, never the password"),
    "ca_file": (_is_text, "the path of a file of CA certificates (PEM)"),
    "tenant": (_is_text, "a text, sent as X-Scope-OrgID"),
    "timeout_seconds": (lambda value: _is_number(value) and 1 <= value <= 3600, "a number from 1 to 3600"),
    "since": (_is_day, "the first day to read, such as 2026-10-01"),
    "until": (_is_day, "the day after the last, such as 2026-11-01"),
    "re_read_hours": (lambda value: _is_number(value) and 0 <= value <= 8760, "a number from 0 to 8760"),
}
