"""When a dated fact holds: half-open days, and which of several rows share one."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date


@dataclass(frozen=True)
class Validity:
    """The days [valid_from, valid_to) on which the row at `line` holds; None is open."""

    valid_from: date | None
    valid_to: date | None
    line: int

    def __str__(self) -> str:
        return f"from {self.valid_from or 'ever'} to {self.valid_to or 'ever'}"


def find_overlaps(validities: Iterable[Validity]) -> Iterator[tuple[Validity, Validity]]:
    """Each row that shares a day with one that begins before it, with the one of those that ends last."""
    latest: Validity | None = None
    for validity in sort_validities(validities):
        if latest is not None and (latest.valid_to is None or (validity.valid_from or date.min) < latest.valid_to):
            yield latest, validity
        if latest is None or (latest.valid_to is not None and (validity.valid_to or date.max) > latest.valid_to):
            latest = validity


def find_gaps(validities: Iterable[Validity]) -> Iterator[tuple[date | None, date | None]]:
    """The days, as half-open spans, on which none of the rows holds."""
    free_from: date | None = None
    for validity in sort_validities(validities):
        if validity.valid_from is not None and (free_from is None or free_from < validity.valid_from):
            yield free_from, validity.valid_from
        if validity.valid_to is None:
            return
        free_from = validity.valid_to if free_from is None else max(free_from, validity.valid_to)
    yield free_from, None


def sort_validities(validities: Iterable[Validity]) -> list[Validity]:
    """By first day, then by line."""
    return sorted(validities, key=lambda item: (item.valid_from or date.min, item.line))
