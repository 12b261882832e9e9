"""A span of days that somebody asks to be read and built again."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta


@dataclass(frozen=True)
class DateSpan:
    """The UTC days from `first_date` to `last_date`, both included. Raises `ValueError` when they are the other way."""

    first_date: date
    last_date: date

    def __post_init__(self) -> None:
        if self.last_date < self.first_date:
            raise ValueError(f"expected a first day and the same or a later one, found {self}")

    def __str__(self) -> str:
        return f"{self.first_date} to {self.last_date}"

    def overlaps(self, start: datetime, end: datetime) -> bool:
        """Whether `[start, end)`, aware, has an instant on one of the days."""
        return start < _midnight(self.last_date + timedelta(days=1)) and end > _midnight(self.first_date)


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)
