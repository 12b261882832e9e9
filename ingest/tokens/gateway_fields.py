"""The field map of a gateway log: which of its fields gives which column of a request, in which unit."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from ingest.contracts import LITELLM_REQUESTS
from ingest.source import OptionProblem
from ingest.values import parse_instant
from ingest.wording import list_names

COLUMNS: Final = (
    *(
        name
        for name, _ in LITELLM_REQUESTS.columns
        if name not in ("log_format", "usage_status", "cache_write_other_tokens")
    ),
    "api_key",
    "duration",
    "time_to_first_token",
    "cache_write_tokens",
)
"""Columns of the landing table by its own names, and what they are made of: a key that is landed as its hash, spans of
time from `started_at`, and cache writes of whatever lifetime, of which the 5 minute and 1 hour ones are parts."""

SECONDS_PER_UNIT: Final = {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}
COST_UNITS: Final = {"usd": 1, "cents": 100, "microusd": 1_000_000, "nanousd": 1_000_000_000}
INPUT_CLASSES: Final = ("cache_read_tokens", "cache_write_tokens", "audio_input_tokens", "image_input_tokens")
OUTPUT_CLASSES: Final = ("reasoning_tokens", "audio_output_tokens", "image_output_tokens")

_MAPS: Final = ("fields", "carried", "constants")
_UNITS: Final = {"time_unit": SECONDS_PER_UNIT, "duration_unit": SECONDS_PER_UNIT, "cost_unit": COST_UNITS}
_OPTIONS: Final = (*_MAPS, *_UNITS, "where", "timezone", "time_origin", "tokens_apart")


@dataclass(frozen=True)
class FieldMap:
    """How a line of a log is read. Paths are keys one inside another, joined by points."""

    fields: Mapping[str, str]
    """Path by column."""

    carried: Mapping[str, str] = field(default_factory=dict)
    """Path by column, of what an earlier line of the same object may have said."""

    constants: Mapping[str, str] = field(default_factory=dict)
    where: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """Texts that a path must have one of: other lines are no requests."""

    time_unit: str = "s"
    duration_unit: str = "ms"
    cost_unit: str = "usd"
    timezone: str = "UTC"
    time_origin: int = 0
    """Microseconds since 1970 UTC from which times that are numbers count."""

    tokens_apart: frozenset[str] = frozenset()
    """Classes of tokens that the log counts beside its input or output, not inside."""


def read_field_map(options: Mapping[str, Any]) -> FieldMap:
    """The map that checked options give."""
    plain = {name: options[name] for name in (*_MAPS[1:], *_UNITS, "timezone") if name in options}
    where = {
        path: frozenset(map(str, wanted if isinstance(wanted, list) else [wanted]))
        for path, wanted in options.get("where", {}).items()
    }
    return FieldMap(
        options["fields"],
        where=where,
        time_origin=parse_instant(str(options["time_origin"])) if "time_origin" in options else 0,
        tokens_apart=frozenset(options.get("tokens_apart", ())),
        **plain,
    )


def check_field_map(options: Mapping[str, Any]) -> Iterator[OptionProblem]:
    """What is wrong with the options of a gateway log."""
    for name in options:
        if name not in _OPTIONS:
            yield OptionProblem(name, "an unknown option", list_names(name, _OPTIONS))
    told: set[str] = set()
    for name in _MAPS:
        given = options.get(name, {} if name != "fields" else None)
        if not isinstance(given, dict):
            yield OptionProblem(name, repr(given), "a map of columns, such as {started_at: timestamp, model: model}")
            continue
        for column, value in given.items():
            if column not in COLUMNS:
                yield OptionProblem(f"{name}.{column}", "no column of a request", list_names(str(column), COLUMNS))
            elif not isinstance(value, str) or not value.strip():
                kind = "a text" if name == "constants" else "the path of a field, such as usage.input_tokens"
                yield OptionProblem(f"{name}.{column}", repr(value), kind)
        told |= given.keys()
    for column in ("started_at", "model"):
        if isinstance(options.get("fields"), dict) and column not in told:
            yield OptionProblem("fields", f"no {column}", f"{column} in fields, or in carried or constants")
    for name, units in _UNITS.items():
        if name in options and options[name] not in units:
            yield OptionProblem(name, repr(options[name]), " or ".join(units))
    yield from _check_others(options)


def _check_others(options: Mapping[str, Any]) -> Iterator[OptionProblem]:
    apart = options.get("tokens_apart", [])
    classes = (*INPUT_CLASSES, *OUTPUT_CLASSES)
    if not isinstance(apart, list) or not set(map(str, apart)) <= set(classes):
        yield OptionProblem("tokens_apart", repr(apart), f"a list of {', '.join(classes)}")
    where = options.get("where", {})
    if not isinstance(where, dict) or not all(isinstance(path, str) for path in where):
        yield OptionProblem(
            "where", repr(where), "a map of paths to the text, or the list of texts, that they must have"
        )
    zone = options.get("timezone", "UTC")
    try:
        ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError, TypeError, OSError):
        yield OptionProblem("timezone", repr(zone), "a name of the IANA database, such as Europe/Berlin")
    try:
        parse_instant(str(options.get("time_origin", "1970-01-01")))
    except ValueError:
        yield OptionProblem("time_origin", repr(options["time_origin"]), "an instant, such as 2026-05-01T00:00:00Z")
