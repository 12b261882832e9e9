"""When something that carries no time of its own was seen."""

from datetime import UTC, datetime

from ingest.source import ObjectRefusedError, SourceObject
from ingest.values import parse_instant


def read_observed_at(source_object: SourceObject, option: str) -> int:
    """Microseconds since 1970: the option of the source, else when the object was modified.

    Raises `ObjectRefusedError` for an option that is no time.
    """
    told = source_object.options.get(option)
    if told is None:
        told = source_object.modified_at
    if isinstance(told, datetime):
        told = (told if told.tzinfo else told.replace(tzinfo=UTC)).isoformat()
    try:
        return parse_instant(str(told))
    except ValueError as error:
        raise ObjectRefusedError(f"option {option} is not an ISO time: {told!r}", field=option) from error
